// expect-error 15: Type 'typeof NormLayout' is not assignable
//         also: 'abstract new (...args: NoInfer<[RMSNorm, LlamaMLP]>) => NormLayout'
import { fuses, kernel, Layout, layout, replaces, type Tensor } from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

@layout({ site: replaces(RMSNorm) })
class NormLayout extends Layout {
  constructor(readonly hidden_size: number, readonly eps = 1e-6) {
    super();
  }
}

@kernel({ site, layout: NormLayout })
export class Mistake {
  forward(this: NormLayout, x: Tensor): Tensor {
    return x;
  }
}
