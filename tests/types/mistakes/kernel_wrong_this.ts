// expect-error 15: The 'this' types of each signature are incompatible
//         also: Type 'NormMLPLayout' is missing the following properties from type 'RMSNorm'
import { fuses, kernel, Layout, layout, type Tensor } from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

@layout({ site })
class NormMLPLayout extends Layout {
  constructor(_norm: RMSNorm, _mlp: LlamaMLP) {
    super();
  }
}

@kernel({ site, layout: NormMLPLayout })
export class Mistake {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return x;
  }
}
