/** Small blocks in the shape of a decoder, and kernels for them that are made of operators: they run on any device. */
import {
  concatenate,
  convert,
  fuses,
  fusesParallel,
  kernel,
  Layout,
  layout,
  type Parameter,
  parameter,
  rename,
  replaces,
  Tensor,
} from "@kernelwright/sdk";
import { add, linear, mul, rmsNorm, silu, slice } from "@kernelwright/sdk/ops";
import { layer, Linear, LlamaMLP, Module, ModuleList, RMSNorm } from "@kernelwright/sdk/nn";

/** The width of every fixture. */
export const WIDTH = 8;

/** Norm and MLP behind a residual: what can be fused. */
export class Block extends Module {
  norm = new RMSNorm(WIDTH, 1e-5);
  mlp: LlamaMLP;
  constructor(act = "silu") {
    super();
    this.mlp = new LlamaMLP(WIDTH, 12, act);
  }
  override forward(x: Tensor): Tensor {
    return add(x, this.mlp.call(this.norm.call(x)));
  }
}

/** q, k and v of one input, uneven as with grouped queries. */
@layer("Mixer")
export class Mixer extends Module {
  q = new Linear(WIDTH, WIDTH, false);
  k = new Linear(WIDTH, 4, false);
  v = new Linear(WIDTH, 4, false);
  o = new Linear(4, WIDTH, false);
  override forward(x: Tensor): Tensor {
    const [q, k, v] = [this.q.call(x), this.k.call(x), this.v.call(x)];
    return add(q, this.o.call(mul(k, silu(v))));
  }
}

/** Blocks in a row, and a norm at the end. */
export class Stack extends Module {
  layers: ModuleList<Module & { forward(x: Tensor): Tensor }>;
  norm = new RMSNorm(WIDTH);
  constructor(make: (i: number) => Module & { forward(x: Tensor): Tensor } = () => new Block(), count = 2) {
    super();
    this.layers = new ModuleList(Array.from({ length: count }, (_, i) => make(i)));
  }
  override forward(x: Tensor): Tensor {
    for (const one of this.layers) x = one.call(x);
    return this.norm.call(x);
  }
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([2, 3, WIDTH], { device: "meta" })]];
  }
}

const normSite = replaces(RMSNorm);

/** The norm's weight under another name. */
@layout({ site: normSite, conversions: [rename("weight", "scale")] })
export class NormLayout extends Layout {
  scale: Parameter;
  constructor(hidden_size: number, readonly eps = 1e-6) {
    super();
    this.scale = parameter([hidden_size]);
  }
}

/** RMSNorm with a layout. */
@kernel({ site: normSite, layout: NormLayout, version: "1.0.0" })
export class Norm {
  forward(this: NormLayout, hidden_states: Tensor): Tensor {
    return rmsNorm(hidden_states, this.scale, this.eps);
  }
}

/** RMSNorm without one: only forward is swapped. */
@kernel({ site: normSite })
export class NormForward {
  forward(this: RMSNorm, hidden_states: Tensor): Tensor {
    return rmsNorm(hidden_states, this.weight, this.eps);
  }
}

/** A norm and the MLP behind it. */
export const fusedSite = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

/** Gate and up in one matrix. */
@layout({
  site: fusedSite,
  conversions: [
    rename("norm.weight", "scale"),
    convert(["mlp.gate_proj.weight", "mlp.up_proj.weight"], "gate_up", [concatenate(0)]),
    rename("mlp.down_proj.weight", "down"),
  ],
  accepts: (_norm, mlp) => mlp.hidden_act === "silu" || `the activation is ${mlp.hidden_act}`,
})
export class NormMLPLayout extends Layout {
  scale: Parameter;
  gate_up: Parameter;
  down: Parameter;
  readonly eps: number;
  constructor(norm: RMSNorm, mlp: LlamaMLP) {
    super();
    this.eps = norm.eps;
    this.scale = parameter([mlp.hidden_size]);
    this.gate_up = parameter([2 * mlp.intermediate_size, mlp.hidden_size]);
    this.down = parameter([mlp.hidden_size, mlp.intermediate_size]);
  }
}

/** `down(silu(gate(norm(x))) · up(norm(x)))`. */
@kernel({ site: fusedSite, layout: NormMLPLayout })
export class NormMLP {
  forward(this: NormMLPLayout, hidden_states: Tensor): Tensor {
    const inner = this.gate_up.shape[0] / 2;
    const both = linear(rmsNorm(hidden_states, this.scale, this.eps), this.gate_up);
    const last = both.rank - 1;
    const [gate, up] = [slice(both, last, 0, inner), slice(both, last, inner, 2 * inner)];
    return linear(mul(silu(gate), up), this.down);
  }
}

const parallelSite = fusesParallel({ q: Linear }, { k: Linear }, { v: Linear });

/** q above k above v. */
@layout({
  site: parallelSite,
  conversions: [convert(["q.weight", "k.weight", "v.weight"], "qkv", [concatenate(0)])],
})
export class QKVLayout extends Layout {
  qkv: Parameter;
  readonly sizes: readonly number[];
  constructor(q: Linear, k: Linear, v: Linear) {
    super();
    this.sizes = [q, k, v].map((m) => m.out_features);
    this.qkv = parameter([this.sizes.reduce((a, b) => a + b), q.in_features]);
  }
}

/** One product for all three. */
@kernel({ site: parallelSite, layout: QKVLayout })
export class QKV {
  forward(this: QKVLayout, x: Tensor): [Tensor, Tensor, Tensor] {
    const all = linear(x, this.qkv);
    const [q, k] = this.sizes;
    const part = (from: number, to: number) => slice(all, all.rank - 1, from, to);
    return [part(0, q), part(q, q + k), part(q + k, all.shape.at(-1)!)];
  }
}
