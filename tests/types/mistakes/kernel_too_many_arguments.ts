// expect-error 15: Forward<NormMLPLayout, [hidden_states: Tensor], Tensor>
//         also: Expected 2 or more, but got 1
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
  forward(this: NormMLPLayout, x: Tensor, _scale: number): Tensor {
    return x;
  }
}
