// expect-error 15: 'require' does not exist in type 'KernelOptions<
//         also: Did you mean to write 'requires'?
import { fuses, kernel, Layout, layout, type Tensor } from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

@layout({ site })
class NormMLPLayout extends Layout {
  constructor(_norm: RMSNorm, _mlp: LlamaMLP) {
    super();
  }
}

@kernel({ site, layout: NormMLPLayout, require: { features: [] } })
export class Mistake {
  forward(this: NormMLPLayout, x: Tensor): Tensor {
    return x;
  }
}
