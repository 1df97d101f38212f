// expect-error 7: Property 'hidden_act' does not exist on type 'RMSNorm'
import { fuses, Layout, layout } from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

@layout({ site, accepts: (norm) => norm.hidden_act === "silu" })
export class Mistake extends Layout {
  constructor(_norm: RMSNorm, _mlp: LlamaMLP) {
    super();
  }
}
