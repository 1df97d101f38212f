import {
  concatenate,
  convert,
  fusesParallel,
  kernel,
  Layout,
  layout,
  type Parameter,
  parameter,
  type Tensor,
} from "@kernelwright/sdk";
import { Linear } from "@kernelwright/sdk/nn";

const site = fusesParallel({ q: Linear }, { k: Linear }, { v: Linear });

@layout({
  site,
  conversions: [convert(["q.weight", "k.weight", "v.weight"], "qkv", [concatenate(0)])],
  accepts: (q, k, v) => [q, k, v].every((p) => p.bias === undefined),
})
export class QKVLayout extends Layout {
  qkv: Parameter;
  constructor(q: Linear, k: Linear, v: Linear) {
    super();
    this.qkv = parameter([q.out_features + k.out_features + v.out_features, q.in_features]);
  }
}

@kernel({ site, layout: QKVLayout })
export class QKV {
  forward(this: QKVLayout, x: Tensor): [Tensor, Tensor, Tensor] {
    return [x, x, x];
  }
}
