import {
  concatenate,
  convert,
  fuses,
  Layout,
  layout,
  pad,
  type Parameter,
  parameter,
} from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

/** The norm feeds the MLP, and nobody else reads what lies between. */
export const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

/** Gate and up in one matrix, and all rows in whole vec4s: zeros behind them change no sum. */
@layout({
  site,
  conversions: [
    convert("norm.weight", "scale", [pad({ multipleOf: 4 })]),
    convert(["mlp.gate_proj.weight", "mlp.up_proj.weight"], "gate_up_proj", [
      pad({ multipleOf: 4 }),
      pad({ dim: 1, multipleOf: 4 }),
      concatenate(0),
    ]),
    convert("mlp.down_proj.weight", "down_proj", [pad({ dim: 1, multipleOf: 4 })]),
  ],
  accepts: (_norm, mlp) => {
    if (mlp.hidden_act !== "silu") return `the activation is ${mlp.hidden_act}, and the kernel computes SiLU`;
    return mlp.gate_proj.bias === undefined || "the projections have biases";
  },
})
export class RMSNormMLPLayout extends Layout {
  /** The norm's weight, `[hidden]`; here and below, hidden and inner are rounded up to a multiple of 4. */
  scale: Parameter;
  /** Gate above up, `[2 · inner, hidden]`. */
  gate_up_proj: Parameter;
  /** `[hidden_size, inner]`. */
  down_proj: Parameter;
  /** The width of the residual stream, as it is. */
  readonly hidden_size: number;
  /** The norm's epsilon. */
  readonly eps: number;

  /** Takes exactly the fused modules, in their order. */
  constructor(norm: RMSNorm, mlp: LlamaMLP) {
    super();
    const [hidden, inner] = [mlp.hidden_size, mlp.intermediate_size].map((n) => Math.ceil(n / 4) * 4);
    this.eps = norm.eps;
    this.hidden_size = mlp.hidden_size;
    this.scale = parameter([hidden]);
    this.gate_up_proj = parameter([2 * inner, hidden]);
    this.down_proj = parameter([mlp.hidden_size, inner]);
  }
}
