// expect-error 10: the layout's constructor must take exactly these parameters", [RMSNorm, LlamaMLP]>
import { fuses, Layout, layout } from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

/** What RMSNorm has, member by member. */
type LooksLikeNorm = { [K in keyof RMSNorm]: RMSNorm[K] };

@layout({ site })
export class Mistake extends Layout {
  constructor(_norm: LooksLikeNorm, _mlp: LlamaMLP) {
    super();
  }
}
