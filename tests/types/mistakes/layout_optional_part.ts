// expect-error 7: the layout's constructor must take exactly these parameters", [RMSNorm, LlamaMLP]>
import { fuses, Layout, layout } from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

@layout({ site })
export class Mistake extends Layout {
  constructor(_norm: RMSNorm, _mlp?: LlamaMLP) {
    super();
  }
}
