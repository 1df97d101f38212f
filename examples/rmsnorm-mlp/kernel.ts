import { dispatch, kernel, shader, Tensor } from "@kernelwright/sdk";
import downCode from "./down.wgsl" with { type: "text" };
import gateUpCode from "./norm_gate_up.wgsl" with { type: "text" };
import { RMSNormMLPLayout, site } from "./layout.ts";

const gateUp = shader({ name: "norm_gate_up.wgsl", code: gateUpCode });
const down = shader({ name: "down.wgsl", code: downCode });

/** `down(silu(gate(norm(x))) · up(norm(x)))` in two dispatches instead of seven. */
@kernel({ site, layout: RMSNormMLPLayout, version: "0.1.0", requires: { dtypes: ["f32", "f16"] } })
export class RMSNormMLP {
  /** `[..., hidden]` → the same shape. */
  forward(this: RMSNormMLPLayout, hidden_states: Tensor): Tensor {
    const [hidden, inner] = this.down_proj.shape;
    const rows = hidden === 0 ? 0 : hidden_states.size / hidden;
    const options = { dtype: hidden_states.dtype };
    const types = { T: hidden_states.dtype };
    const activated = Tensor.empty([rows, inner], options);
    dispatch(gateUp, {
      x: hidden_states,
      scale: this.scale,
      gate_up: this.gate_up_proj,
      out: activated,
      params: { rows, hidden, inner, eps: this.eps },
    }, { workgroups: [Math.ceil(inner / 64), Math.ceil(rows / 4)], types });
    const out = Tensor.empty(hidden_states.shape, options);
    dispatch(down, { x: activated, weight: this.down_proj, out, params: { rows, hidden, inner } }, {
      workgroups: [Math.ceil(hidden / 64), Math.ceil(rows / 4)],
      types,
    });
    return out;
  }
}
