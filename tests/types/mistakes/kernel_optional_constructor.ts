// expect-error 14: a kernel's constructor takes nothing: what a kernel needs is in its layout", []>
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
  constructor(readonly gain = 1) {}
  forward(this: NormMLPLayout, x: Tensor): Tensor {
    return x;
  }
}
