// expect-error 5: the layout's constructor must take exactly these parameters", [hidden_size: number, eps?: number | undefined]>
import { Layout, layout, replaces } from "@kernelwright/sdk";
import { RMSNorm } from "@kernelwright/sdk/nn";

@layout({ site: replaces(RMSNorm) })
export class Mistake extends Layout {
  constructor(_norm: RMSNorm) {
    super();
  }
}
