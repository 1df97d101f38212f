// expect-error 23: The 'this' types of each signature are incompatible
//         also: Property 'blocks' is missing in type 'NormMLPLayout' but required in type 'OtherLayout'
import { fuses, kernel, Layout, layout, type Tensor } from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

@layout({ site })
class NormMLPLayout extends Layout {
  constructor(_norm: RMSNorm, _mlp: LlamaMLP) {
    super();
  }
}

@layout({ site })
class OtherLayout extends Layout {
  readonly blocks = 4;
  constructor(_norm: RMSNorm, _mlp: LlamaMLP) {
    super();
  }
}

@kernel({ site, layout: NormMLPLayout })
export class Mistake {
  forward(this: OtherLayout, x: Tensor): Tensor {
    return x;
  }
}
