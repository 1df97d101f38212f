import {
  concatenate,
  convert,
  fuses,
  kernel,
  Layout,
  layout,
  type Parameter,
  parameter,
  rename,
  type Tensor,
} from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

@layout({
  site,
  conversions: [
    rename("norm.weight", "scale"),
    convert(["mlp.gate_proj.weight", "mlp.up_proj.weight"], "gate_up", [concatenate(0)]),
  ],
  drops: ["mlp.down_proj.weight"],
  accepts: (norm, mlp) => norm.hidden_size === mlp.hidden_size || "the widths differ",
})
export class NormMLPLayout extends Layout {
  scale: Parameter;
  gate_up: Parameter;
  constructor(norm: RMSNorm, mlp: LlamaMLP) {
    super();
    this.scale = parameter([norm.hidden_size]);
    this.gate_up = parameter([2 * mlp.intermediate_size, mlp.hidden_size]);
  }
}

@kernel({ site, layout: NormMLPLayout, requires: { dtypes: ["f32"], features: ["subgroups"] } })
export class NormMLP {
  static readonly tile = 8;
  forward(this: NormMLPLayout, hidden_states: Tensor): Tensor {
    return hidden_states;
  }
}

/** Two kernels may share a layout; one that reads nothing of it need not say what `this` is. */
@kernel({ site, layout: NormMLPLayout, accepts: (_norm, mlp) => mlp.hidden_act === "silu" })
export class OtherNormMLP {
  forward(hidden_states: Tensor): Tensor {
    return hidden_states;
  }
}
