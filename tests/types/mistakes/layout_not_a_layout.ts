// expect-error 8: 'abstract new (...args: any[]) => Layout'
//         also: missing the following properties from type 'Layout': #layout
import { fuses, layout } from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

@layout({ site })
export class Mistake {
  constructor(_norm: RMSNorm, _mlp: LlamaMLP) {}
}
