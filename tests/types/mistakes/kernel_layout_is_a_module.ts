// expect-error 6: Property '#layout' is missing in type 'RMSNorm' but required in type 'Layout'
// expect-error 6: The 'this' types of each signature are incompatible
import { kernel, replaces, type Tensor } from "@kernelwright/sdk";
import { RMSNorm } from "@kernelwright/sdk/nn";

@kernel({ site: replaces(RMSNorm), layout: RMSNorm })
export class Mistake {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return x;
  }
}
