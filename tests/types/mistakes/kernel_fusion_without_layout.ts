// expect-error 8: Property 'layout' is missing
//         also: but required in type 'FusionNeedsLayout'
import { fuses, kernel, type Tensor } from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

@kernel({ site })
export class Mistake {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return x;
  }
}
