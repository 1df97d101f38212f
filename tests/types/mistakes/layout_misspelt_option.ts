// expect-error 8: 'conversion' does not exist in type 'LayoutOptions<[RMSNorm, LlamaMLP]
//         also: Did you mean to write 'conversions'?
import { fuses, Layout, layout, rename } from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

@layout({ site, conversion: [rename("norm.weight", "scale")] })
export class Mistake extends Layout {
  constructor(_norm: RMSNorm, _mlp: LlamaMLP) {
    super();
  }
}
