// expect-error 6: The 'this' types of each signature are incompatible
//         also: Property 'normalized_shape' is missing in type 'RMSNorm' but required in type 'LayerNorm'
import { kernel, replaces, type Tensor } from "@kernelwright/sdk";
import { LayerNorm, RMSNorm } from "@kernelwright/sdk/nn";

@kernel({ site: replaces(RMSNorm) })
export class Mistake {
  forward(this: LayerNorm, x: Tensor): Tensor {
    return x;
  }
}
