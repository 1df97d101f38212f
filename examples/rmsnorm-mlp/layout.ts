import {
  concatenate,
  convert,
  fuses,
  Layout,
  layout,
  type Parameter,
  parameter,
  rename,
} from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

/** The norm feeds the MLP, and nobody else reads what lies between. */
export const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

/** Gate and up in one matrix, so that one pass over the activations serves both. */
@layout({
  site,
  conversions: [
    rename("norm.weight", "scale"),
    convert(["mlp.gate_proj.weight", "mlp.up_proj.weight"], "gate_up_proj", [concatenate(0)]),
    rename("mlp.down_proj.weight", "down_proj"),
  ],
  accepts: (_norm, mlp) => {
    if (mlp.hidden_act !== "silu") return `the activation is ${mlp.hidden_act}, and the kernel computes SiLU`;
    return mlp.gate_proj.bias === undefined || "the projections have biases";
  },
})
export class RMSNormMLPLayout extends Layout {
  /** The norm's weight, `[hidden]`. */
  scale: Parameter;
  /** Gate above up, `[2 · intermediate, hidden]`. */
  gate_up_proj: Parameter;
  /** `[hidden, intermediate]`. */
  down_proj: Parameter;
  /** The norm's epsilon. */
  readonly eps: number;

  /** Takes exactly the fused modules, in their order. */
  constructor(norm: RMSNorm, mlp: LlamaMLP) {
    super();
    this.eps = norm.eps;
    this.scale = parameter([mlp.hidden_size]);
    this.gate_up_proj = parameter([2 * mlp.intermediate_size, mlp.hidden_size]);
    this.down_proj = parameter([mlp.hidden_size, mlp.intermediate_size]);
  }
}
