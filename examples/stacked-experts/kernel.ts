import { dispatch, kernel, shader, Tensor, workgroups } from "@kernelwright/sdk";
import { linear } from "@kernelwright/sdk/ops";
import downCode from "./down.wgsl" with { type: "text" };
import gateUpCode from "./gate_up.wgsl" with { type: "text" };
import { site, StackedExpertsLayout } from "./layout.ts";
import routeCode from "./route.wgsl" with { type: "text" };
import { type Choice, runSorted, worthSorting } from "./sorted.ts";

const route = shader({ name: "route.wgsl", code: routeCode });
const gateUp = shader({ name: "gate_up.wgsl", code: gateUpCode });
const down = shader({ name: "down.wgsl", code: downCode });

/** The router and the chosen experts: four dispatches for a few tokens, seven for many, however many experts there are. */
@kernel({ site, layout: StackedExpertsLayout, version: "0.2.0", requires: { dtypes: ["f32", "f16"] } })
export class StackedExperts {
  /** `[batch, tokens, hidden]` → the same shape. */
  forward(this: StackedExpertsLayout, hidden_states: Tensor): Tensor {
    const { hidden_size, num_experts: experts, top_k } = this;
    const x = hidden_states.reshape([-1, hidden_size]);
    const [rows] = x.shape;
    const logits = linear(x, this.router);
    // Which experts a token goes to stays on the device: nothing is read back, and shapes are the same every time.
    const chosen = Tensor.empty([rows, top_k], { dtype: "u32" });
    const shares = Tensor.empty([rows, top_k], { dtype: "f32" });
    dispatch(route, { logits, chosen, shares, params: { count: rows * experts, experts, top_k } }, {
      workgroups: workgroups(rows * experts, 16),
      types: { T: x.dtype },
    });
    const run = worthSorting(rows * top_k, experts) ? runSorted : runInOrder;
    return run(this, x, { chosen, shares }).reshape(hidden_states.shape);
  }
}

// ---------------------------------------------------------------------------

/** Each row walks the matrices of its own experts: the fewest dispatches, and a weight is loaded again for each row. */
function runInOrder(self: StackedExpertsLayout, x: Tensor, { chosen, shares }: Choice): Tensor {
  const { hidden_size: hidden, intermediate_size: inner, top_k } = self;
  const [rows] = x.shape;
  const { dtype } = x;
  const types = { V: `vec4<${dtype}>` };
  const activated = Tensor.empty([rows, top_k, inner], { dtype });
  const quads = rows * top_k * inner / 4;
  dispatch(gateUp, {
    x,
    gate_up: self.gate_up_proj,
    chosen,
    out: activated,
    params: { count: quads, steps: hidden / 4, inner, top_k },
  }, { workgroups: workgroups(quads, 16), types });
  const out = Tensor.empty([rows, hidden], { dtype });
  dispatch(down, {
    x: activated,
    down: self.down_proj,
    chosen,
    shares,
    out,
    params: { count: rows * hidden / 4, steps: inner / 4, hidden, top_k },
  }, { workgroups: workgroups(rows * hidden / 4, 16), types });
  return out;
}
