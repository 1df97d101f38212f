// expect-error 14: Source has 2 element(s) but target requires 3
import { fusesParallel, kernel, Layout, layout, type Tensor } from "@kernelwright/sdk";
import { Linear } from "@kernelwright/sdk/nn";

const site = fusesParallel({ q: Linear }, { k: Linear }, { v: Linear });

@layout({ site })
class QKVLayout extends Layout {
  constructor(_q: Linear, _k: Linear, _v: Linear) {
    super();
  }
}

@kernel({ site, layout: QKVLayout })
export class Mistake {
  forward(this: QKVLayout, x: Tensor): [Tensor, Tensor] {
    return [x, x];
  }
}
