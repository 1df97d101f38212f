import { dispatch, kernel, linear, shader, Tensor } from "@kernelwright/sdk";
import downCode from "./down.wgsl" with { type: "text" };
import gateUpCode from "./gate_up.wgsl" with { type: "text" };
import { site, StackedExpertsLayout } from "./layout.ts";
import routeCode from "./route.wgsl" with { type: "text" };

const route = shader({ name: "route.wgsl", code: routeCode });
const gateUp = shader({ name: "gate_up.wgsl", code: gateUpCode });
const down = shader({ name: "down.wgsl", code: downCode });

/** The router and the chosen experts in four dispatches, however many experts there are. */
@kernel({ site, layout: StackedExpertsLayout, version: "0.1.0", requires: { dtypes: ["f32", "f16"] } })
export class StackedExperts {
  /** `[batch, tokens, hidden]` → the same shape. */
  forward(this: StackedExpertsLayout, hidden_states: Tensor): Tensor {
    const { hidden_size: hidden, intermediate_size: inner, num_experts: experts, top_k } = this;
    const x = hidden_states.reshape([-1, hidden]);
    const [rows] = x.shape;
    const { dtype } = x;
    const types = { T: dtype, V: `vec4<${dtype}>` };
    const logits = linear(x, this.router);
    // Which experts a token goes to stays on the device: nothing is read back, and shapes are the same every time.
    const chosen = Tensor.empty([rows, top_k], { dtype: "u32" });
    const shares = Tensor.empty([rows, top_k], { dtype: "f32" });
    dispatch(route, { logits, chosen, shares, params: { count: rows * experts, experts, top_k } }, {
      workgroups: grid(rows * experts),
      types: { T: dtype },
    });
    const activated = Tensor.empty([rows, top_k, inner], { dtype });
    const quads = rows * top_k * Math.ceil(inner / 4);
    dispatch(gateUp, {
      x,
      gate_up: this.gate_up_proj,
      chosen,
      out: activated,
      params: { count: quads, steps: hidden / 4, inner, top_k },
    }, { workgroups: grid(quads), types });
    const out = Tensor.empty(hidden_states.shape, { dtype });
    dispatch(down, {
      x: activated,
      down: this.down_proj,
      chosen,
      shares,
      out,
      params: { count: rows * hidden / 4, steps: inner / 4, hidden, top_k },
    }, { workgroups: grid(rows * hidden / 4), types });
    return out;
  }
}

/** Workgroups of 16 invocations, over two dimensions: an adapter allows 65,535 in each. */
function grid(invocations: number): [number, number] {
  const count = Math.ceil(invocations / 16);
  const rows = Math.max(1, Math.ceil(count / 65535));
  return [Math.ceil(count / rows), rows];
}
