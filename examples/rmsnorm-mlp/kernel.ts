import { dispatch, gpuIfOpen, kernel, type Shader, shader, Tensor, workgroups } from "@kernelwright/sdk";
import { linear, rmsNorm } from "@kernelwright/sdk/ops";
import { RMSNormMLPLayout, site } from "./layout.ts";
import { normGateUp } from "./norm_gate_up.ts";
import padRowsCode from "./pad_rows.wgsl" with { type: "text" };
import siluMulCode from "./silu_mul.wgsl" with { type: "text" };

/** `down(silu(gate(norm(x))) · up(norm(x)))` in two dispatches instead of six, or in four where two do not pay. */
@kernel({ site, layout: RMSNormMLPLayout, version: "0.3.0", requires: { dtypes: ["f32", "f16"] } })
export class RMSNormMLP {
  /** `[..., hidden]` → the same shape. */
  forward(this: RMSNormMLPLayout, hidden_states: Tensor): Tensor {
    const rows = this.hidden_size === 0 ? 0 : hidden_states.size / this.hidden_size;
    const activate = fusionPays(rows, this.hidden_size) ? activateFused : activateComposed;
    // A plain product gains nothing from being written again.
    return linear(activate(this, hidden_states, rows), this.down_proj);
  }
}

// ---------------------------------------------------------------------------

/**
 * Where it does not pay to fuse the norm and both projections. Few rows of a wide model wait for the weights, and a
 * shader that reads two rows of them at a time reads no faster. Many rows are computing, and on a GPU `linear` has
 * tiles for it; a software device has none, and gains by the large blocks here.
 */
function fusionPays(rows: number, hidden: number): boolean {
  if (hidden % 4 !== 0) return true; // only the fused shader knows of the padding
  return rows < 16 ? hidden < 768 : onSoftware();
}

/** `silu(gate(norm(x))) · up(norm(x))`, `[..., inner]`, in one dispatch. */
function activateFused(self: RMSNormMLPLayout, hidden_states: Tensor, rows: number): Tensor {
  const { dtype } = hidden_states;
  const x = self.hidden_size % 4 === 0 ? hidden_states : padRows(hidden_states, rows, self.hidden_size);
  const [out, inner] = emptyActivation(self, hidden_states);
  const block = chooseBlock(rows);
  dispatch(blockShader(block.rows, block.columns), {
    x,
    scale: self.scale,
    gate_up: self.gate_up_proj,
    out,
    params: {
      rows,
      steps: self.scale.size / 4,
      fours: inner / 4,
      hidden: self.hidden_size,
      eps: self.eps,
    },
  }, {
    workgroups: [Math.ceil(inner / block.columns / 8), Math.ceil(rows / block.rows)],
    types: { V: `vec4<${dtype}>` },
  });
  return out;
}

/** The same in three: norm, one product for gate and up, and the activation. */
function activateComposed(self: RMSNormMLPLayout, hidden_states: Tensor, rows: number): Tensor {
  const gate_up = linear(rmsNorm(hidden_states, self.scale, self.eps), self.gate_up_proj);
  const [out, inner] = emptyActivation(self, hidden_states);
  dispatch(siluMul, { gate_up, out, params: { rows, fours: inner / 4 } }, {
    workgroups: [Math.ceil(inner / 32), Math.min(65535, Math.ceil(rows / 8))],
    types: { V: `vec4<${out.dtype}>` },
  });
  return out;
}

function emptyActivation(self: RMSNormMLPLayout, x: Tensor): [out: Tensor, inner: number] {
  const [, inner] = self.down_proj.shape;
  return [Tensor.empty([...x.shape.slice(0, -1), inner], { dtype: x.dtype }), inner];
}

/**
 * The more outputs an invocation makes, the fewer loads for each; and the fewer invocations there are. Few rows are all
 * in one block, many are cut evenly: 18 into 12 and 6, not into 16 and 2. 256 sums spill out of the registers: a
 * software device gains by it, a GPU would lose.
 */
function chooseBlock(rows: number): { rows: number; columns: number } {
  const [most, columns] = onSoftware() ? [16, 8] : [4, 4];
  const even = Math.ceil(rows / Math.ceil(Math.max(1, rows) / most));
  return { rows: even <= 2 ? Math.max(1, even) : Math.ceil(even / 4) * 4, columns };
}

function onSoftware(): boolean {
  return gpuIfOpen()?.info.software ?? false;
}

const siluMul = shader({ name: "silu_mul.wgsl", code: siluMulCode });
const shaders = new Map<string, Shader>();

function blockShader(rows: number, columns: number): Shader {
  const name = `norm_gate_up ${rows}x${columns}`;
  let made = shaders.get(name);
  if (!made) shaders.set(name, made = shader({ name, code: normGateUp(rows, columns) }));
  return made;
}

const padShader = shader({ name: "pad_rows.wgsl", code: padRowsCode });

function padRows(x: Tensor, rows: number, hidden: number): Tensor {
  const vectors = Math.ceil(hidden / 4);
  const out = Tensor.empty([rows, 4 * vectors], { dtype: x.dtype });
  dispatch(padShader, { x, out, params: { rows, hidden } }, {
    workgroups: workgroups(rows * vectors),
    types: { T: x.dtype },
  });
  return out;
}
