// expect-error 14: Type 'Promise<Tensor>' is missing the following properties from type 'Tensor'
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
  async forward(this: NormMLPLayout, x: Tensor): Promise<Tensor> {
    await x.data();
    return x;
  }
}
