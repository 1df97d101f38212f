import { attention, dispatch, kernel, shader, Tensor } from "@kernelwright/sdk";
import type { AttentionContext } from "@kernelwright/sdk/nn";
import { DecoderLayerLayout, site } from "./layout.ts";
import gateUpCode from "./norm_gate_up.wgsl" with { type: "text" };
import normProjectCode from "./norm_project.wgsl" with { type: "text" };
import projectAddCode from "./project_add.wgsl" with { type: "text" };
import rotateCode from "./rotate.wgsl" with { type: "text" };

const normProject = shader({ name: "norm_project.wgsl", code: normProjectCode });
const rotate = shader({ name: "rotate.wgsl", code: rotateCode });
const projectAdd = shader({ name: "project_add.wgsl", code: projectAddCode });
const gateUp = shader({ name: "norm_gate_up.wgsl", code: gateUpCode });

/**
 * A decoder layer in six dispatches: norm and projections · rotation and cache · attention · projection and residual ·
 * norm, gate and up · projection and residual.
 */
@kernel({ site, layout: DecoderLayerLayout, version: "0.1.0", requires: { dtypes: ["f32", "f16"] } })
export class DecoderLayer {
  /** `[batch, tokens, hidden]` → the same shape. Writes the cache of its layer, if there is one. */
  forward(this: DecoderLayerLayout, hidden_states: Tensor, context: AttentionContext): Tensor {
    const attended = attend(this, hidden_states, context);
    const middle = project(attended, this.o_proj, this.o_bias, hidden_states);
    const { dtype } = middle;
    const inner = this.down_proj.shape[1];
    const rows = rowsOf(middle);
    const activated = Tensor.empty([...middle.shape.slice(0, -1), inner], { dtype });
    dispatch(gateUp, {
      x: middle,
      scale: this.mlp_scale,
      gate_up: this.gate_up_proj,
      out: activated,
      params: { rows, steps: this.mlp_scale.size / 4, inner, eps: this.eps },
    }, blocks(rows, inner, dtype));
    return project(activated, this.down_proj, undefined, middle);
  }
}

// ---------------------------------------------------------------------------

/** Everything of attention before its last projection: `[batch, tokens, heads · head_dim]`. */
function attend(self: DecoderLayerLayout, x: Tensor, context: AttentionContext): Tensor {
  const [batch, tokens] = x.shape;
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim } = self.attention;
  const { position, starts, cache } = context;
  const { dtype } = x;
  const rows = rowsOf(x);
  const columns = self.qkv_proj.shape[0];
  const qkv = Tensor.empty([rows, columns], { dtype });
  dispatch(normProject, {
    x,
    scale: self.attention_scale,
    weight: self.qkv_proj,
    bias: self.qkv_bias ?? self.attention_scale, // not read where has_bias is 0
    out: qkv,
    params: {
      rows,
      steps: self.attention_scale.size / 4,
      columns,
      has_bias: self.qkv_bias ? 1 : 0,
      eps: self.eps,
    },
  }, blocks(rows, columns, dtype));
  const q = Tensor.empty([batch, tokens, heads, head_dim], { dtype });
  // Without a cache, the keys and values of this run are all there are.
  const empty = () => Tensor.empty([batch, tokens, kvHeads, head_dim], { dtype });
  const keys = cache ? cache.keys[self.layer_idx] : empty();
  const values = cache ? cache.values[self.layer_idx] : empty();
  const count = rows * (heads + 2 * kvHeads);
  const groups = Math.ceil(count / 8);
  const lines = Math.max(1, Math.ceil(groups / 65535));
  dispatch(rotate, {
    qkv,
    q_scale: self.q_scale ?? qkv, // not read where HAS_NORM is 0
    k_scale: self.k_scale ?? qkv,
    position,
    starts: starts ?? position, // not read where HAS_STARTS is 0
    q,
    keys,
    values,
    params: {
      count,
      tokens,
      heads,
      key_heads: kvHeads,
      pairs: head_dim / 2,
      places: keys.shape[1],
      eps: self.attention.qk_norm_eps ?? 0,
      turns: self.turns,
    },
  }, {
    workgroups: [Math.ceil(groups / lines), lines],
    constants: { HAS_NORM: self.q_scale ? 1 : 0, HAS_STARTS: starts ? 1 : 0, HAS_CACHE: cache ? 1 : 0 },
    types: { T: dtype, Turns: `array<vec4<u32>, ${self.turns.length / 4}>` },
  });
  const out = attention(q, keys, values, { position, causal: true, starts });
  return out.reshape([batch, tokens, heads * head_dim]);
}

/** `x · weightᵀ + bias + residual`. */
function project(x: Tensor, weight: Tensor, bias: Tensor | undefined, residual: Tensor): Tensor {
  const { dtype } = x;
  const [columns, depth] = weight.shape;
  const rows = rowsOf(residual);
  const out = Tensor.empty(residual.shape, { dtype });
  dispatch(projectAdd, {
    x,
    weight,
    bias: bias ?? residual, // not read where has_bias is 0
    residual,
    out,
    params: { rows, steps: depth / 4, columns, has_bias: bias ? 1 : 0 },
  }, blocks(rows, columns, dtype));
  return out;
}

/** Blocks of 4 columns of 4 rows, 16 of them in a workgroup. */
function blocks(rows: number, columns: number, dtype: Tensor["dtype"]) {
  const workgroups: [number, number] = [Math.ceil(columns / 64), Math.ceil(rows / 4)];
  return { workgroups, types: { T: dtype, V: `vec4<${dtype}>` } };
}

function rowsOf(x: Tensor): number {
  return x.shape.slice(0, -1).reduce((a, b) => a * b, 1);
}
