// expect-error 14: 'feature' does not exist in type 'Requirements'. Did you mean to write 'features'?
import { fuses, kernel, Layout, layout, type Tensor } from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

@layout({ site })
class NormMLPLayout extends Layout {
  constructor(_norm: RMSNorm, _mlp: LlamaMLP) {
    super();
  }
}

@kernel({ site, layout: NormMLPLayout, requires: { feature: ["shader-f16"] } })
export class Mistake {
  forward(this: NormMLPLayout, x: Tensor): Tensor {
    return x;
  }
}
