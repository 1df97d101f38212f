import { StackedExperts, type StackedExpertsLayout } from "../../examples/stacked-experts/mod.ts";
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
  stackList,
  type Tensor,
} from "../../mod.ts";
import { rmsNorm } from "@kernelwright/sdk/ops";
import { MixtralSparseMoeBlock } from "../../sdk/models/mod.ts";
import { RMSNorm } from "../../sdk/nn/mod.ts";

const site = fuses({ norm: RMSNorm }, { moe: MixtralSparseMoeBlock });

/** The norm's weight beside the stacked experts: a chain whose second part holds a list of modules. */
@layout({
  site,
  conversions: [
    rename("norm.weight", "scale"),
    rename("moe.gate.weight", "router"),
    convert(["moe.experts.*.w1.weight", "moe.experts.*.w3.weight"], "gate_up_proj", [
      stackList(0, { lists: 2 }),
      concatenate(1),
    ]),
    convert("moe.experts.*.w2.weight", "down_proj", [stackList(0)]),
  ],
})
export class NormExpertsLayout extends Layout {
  scale: Parameter;
  router: Parameter;
  gate_up_proj: Parameter;
  down_proj: Parameter;
  readonly eps: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_experts: number;
  readonly top_k: number;

  constructor(norm: RMSNorm, moe: MixtralSparseMoeBlock) {
    super();
    const { hidden_size: hidden, intermediate_size: inner, num_experts: experts } = moe;
    this.eps = norm.eps;
    [this.hidden_size, this.intermediate_size, this.num_experts, this.top_k] = [
      hidden,
      inner,
      experts,
      moe.top_k,
    ];
    this.scale = parameter([hidden]);
    this.router = parameter([experts, hidden]);
    this.gate_up_proj = parameter([experts, 2 * inner, hidden]);
    this.down_proj = parameter([experts, hidden, inner]);
  }
}

/** A norm and the experts behind it as one site. */
@kernel({ site, layout: NormExpertsLayout })
export class NormExperts {
  forward(this: NormExpertsLayout, hidden_states: Tensor): Tensor {
    // It has all that the experts' kernel reads.
    const experts = this as unknown as StackedExpertsLayout;
    return StackedExperts.prototype.forward.call(experts, rmsNorm(hidden_states, this.scale, this.eps));
  }
}
