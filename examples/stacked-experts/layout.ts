import {
  concatenate,
  convert,
  Layout,
  layout,
  type Parameter,
  parameter,
  rename,
  replaces,
  stackList,
} from "@kernelwright/sdk";
import { MixtralSparseMoeBlock } from "@kernelwright/sdk/models";

/** The block of a Mixtral layer: router and experts. */
export const site = replaces(MixtralSparseMoeBlock);

/** The experts are a list in the file and one tensor here, so that a shader can pick one by its number. */
@layout({
  site,
  conversions: [
    rename("gate.weight", "router"),
    convert(["experts.*.w1.weight", "experts.*.w3.weight"], "gate_up_proj", [
      stackList(0, { lists: 2 }),
      concatenate(1),
    ]),
    convert("experts.*.w2.weight", "down_proj", [stackList(0)]),
  ],
  accepts: ({ hidden_act, hidden_size, intermediate_size }) => {
    if (hidden_act !== "silu" && hidden_act !== "swish") {
      return `the activation is ${hidden_act}, and the kernel computes SiLU`;
    }
    return hidden_size % 4 === 0 && intermediate_size % 4 === 0 ||
      `the sizes are ${hidden_size} and ${intermediate_size}, and the kernel loads 4 numbers at once`;
  },
})
export class StackedExpertsLayout extends Layout {
  /** `[experts, hidden]`. */
  router: Parameter;
  /** For each expert gate (w1) above up (w3), `[experts, 2 · intermediate, hidden]`. */
  gate_up_proj: Parameter;
  /** For each expert the way back (w2), `[experts, hidden, intermediate]`. */
  down_proj: Parameter;

  /** Takes exactly what MixtralSparseMoeBlock's constructor takes. */
  constructor(
    readonly hidden_size: number,
    readonly intermediate_size: number,
    readonly num_experts: number,
    readonly top_k: number,
    readonly hidden_act = "silu",
  ) {
    super();
    this.router = parameter([num_experts, hidden_size]);
    this.gate_up_proj = parameter([num_experts, 2 * intermediate_size, hidden_size]);
    this.down_proj = parameter([num_experts, hidden_size, intermediate_size]);
  }
}
