// expect-error 14: Property 'forward' is missing in type 'Mistake' but required in type 'Forward<NormMLPLayout, [hidden_states: Tensor], Tensor>'
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
  run(this: NormMLPLayout, x: Tensor): Tensor {
    return x;
  }
}
