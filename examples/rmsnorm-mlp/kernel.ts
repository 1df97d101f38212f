import { dispatch, gpuIfOpen, kernel, linear, type Shader, shader, Tensor } from "@kernelwright/sdk";
import { RMSNormMLPLayout, site } from "./layout.ts";
import { normGateUp } from "./norm_gate_up.ts";
import padRowsCode from "./pad_rows.wgsl" with { type: "text" };

/** `down(silu(gate(norm(x))) · up(norm(x)))` in two dispatches instead of six. */
@kernel({ site, layout: RMSNormMLPLayout, version: "0.2.0", requires: { dtypes: ["f32", "f16"] } })
export class RMSNormMLP {
  /** `[..., hidden]` → the same shape. */
  forward(this: RMSNormMLPLayout, hidden_states: Tensor): Tensor {
    const { dtype, shape } = hidden_states;
    const [, inner] = this.down_proj.shape;
    const rows = this.hidden_size === 0 ? 0 : hidden_states.size / this.hidden_size;
    const x = this.hidden_size % 4 === 0 ? hidden_states : padRows(hidden_states, rows, this.hidden_size);
    const block = chooseBlock(rows);
    const activated = Tensor.empty([...shape.slice(0, -1), inner], { dtype });
    dispatch(blockShader(block.rows, block.columns), {
      x,
      scale: this.scale,
      gate_up: this.gate_up_proj,
      out: activated,
      params: {
        rows,
        steps: this.scale.size / 4,
        fours: inner / 4,
        hidden: this.hidden_size,
        eps: this.eps,
      },
    }, {
      workgroups: [Math.ceil(inner / block.columns / 8), Math.ceil(rows / block.rows)],
      types: { V: `vec4<${dtype}>` },
    });
    // A plain product gains nothing from being written again.
    return linear(activated, this.down_proj);
  }
}

// ---------------------------------------------------------------------------

/**
 * The more outputs an invocation makes, the fewer loads for each; and the fewer invocations there are. One row (a
 * step of a generation) has enough of neither to choose. 256 sums spill out of the registers: a software device
 * gains by it, a GPU would lose.
 */
function chooseBlock(rows: number): { rows: number; columns: number } {
  const most = gpuIfOpen()?.info.software ? 16 : 4;
  const block = Math.min(most, 2 ** Math.ceil(Math.log2(Math.max(1, rows))));
  return { rows: block, columns: block === 16 ? 8 : 4 };
}

const shaders = new Map<number, Shader>();

function blockShader(rows: number, columns: number): Shader {
  let made = shaders.get(rows);
  if (!made) {
    made = shader({ name: `norm_gate_up ${rows}x${columns}`, code: normGateUp(rows, columns) });
    shaders.set(rows, made);
  }
  return made;
}

const padShader = shader({ name: "pad_rows.wgsl", code: padRowsCode });

function padRows(x: Tensor, rows: number, hidden: number): Tensor {
  const vectors = Math.ceil(hidden / 4);
  const out = Tensor.empty([rows, 4 * vectors], { dtype: x.dtype });
  const groups = Math.ceil(rows * vectors / 64);
  const tall = Math.max(1, Math.ceil(groups / 65535)); // an adapter allows 65,535 in each dimension
  dispatch(padShader, { x, out, params: { rows, hidden } }, {
    workgroups: [Math.ceil(groups / tall), tall],
    types: { T: x.dtype },
  });
  return out;
}
