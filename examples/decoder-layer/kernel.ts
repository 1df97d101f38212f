import { dispatch, kernel, shader, Tensor, workgroups } from "@kernelwright/sdk";
import { add, attention, linear, rmsNorm } from "@kernelwright/sdk/ops";
import type { AttentionContext } from "@kernelwright/sdk/nn";
import { DecoderLayerLayout, site, turnsOf } from "./layout.ts";
import gateUpCode from "./norm_gate_up.wgsl" with { type: "text" };
import normProjectCode from "./norm_project.wgsl" with { type: "text" };
import projectAddCode from "./project_add.wgsl" with { type: "text" };
import rotateCode from "./rotate.wgsl" with { type: "text" };
import siluMulCode from "./silu_mul.wgsl" with { type: "text" };

const normProject = shader({ name: "norm_project.wgsl", code: normProjectCode });
const rotate = shader({ name: "rotate.wgsl", code: rotateCode });
const projectAdd = shader({ name: "project_add.wgsl", code: projectAddCode });
const gateUp = shader({ name: "norm_gate_up.wgsl", code: gateUpCode });
const siluMul = shader({ name: "silu_mul.wgsl", code: siluMulCode });

/**
 * A decoder layer. A step of a generation takes six dispatches: norm and projections · rotation and cache · attention ·
 * projection and residual · norm, gate and up · projection and residual. A prompt takes eleven, its products by
 * `linear`, two of them where the original has five.
 */
@kernel({
  site,
  layout: DecoderLayerLayout,
  version: "0.2.0",
  requires: { dtypes: ["f32", "f16"] },
  writes(_hidden_states, { cache }) {
    return [cache?.keys[this.layer_idx], cache?.values[this.layer_idx]];
  },
})
export class DecoderLayer {
  /** `[batch, tokens, hidden]` → the same shape. Writes the cache of its layer, if there is one. */
  forward(this: DecoderLayerLayout, hidden_states: Tensor, context: AttentionContext): Tensor {
    const qkv = projectQKV(this, hidden_states);
    const attended = attend(this, qkv, hidden_states.shape, context);
    const middle = projectBack(attended, this.o_proj, this.o_bias, hidden_states);
    return projectBack(activate(this, middle), this.down_proj, undefined, middle);
  }
}

// ---------------------------------------------------------------------------

/** The first norm, and q, k and v: `[batch, tokens, (heads + 2 · key heads) · head_dim]`. */
function projectQKV(self: DecoderLayerLayout, x: Tensor): Tensor {
  const { attention_scale: scale, qkv_proj: weight, qkv_bias: bias, eps } = self;
  const rows = rowsOf(x);
  if (!dispatchesRule(x)) return linear(rmsNorm(x, scale, eps), weight, bias);
  const { dtype } = x;
  const [columns] = weight.shape;
  const out = Tensor.empty([...x.shape.slice(0, -1), columns], { dtype });
  dispatch(normProject, {
    x,
    scale,
    weight,
    bias: bias ?? scale, // not read where has_bias is 0
    out,
    params: { rows, steps: scale.size / 4, columns, has_bias: bias ? 1 : 0, eps },
  }, blocks(rows, columns, dtype));
  return out;
}

/** Norm of the heads, rotation, cache and attention: `[batch, tokens, heads · head_dim]`. */
function attend(
  self: DecoderLayerLayout,
  qkv: Tensor,
  [batch, tokens]: readonly number[],
  context: AttentionContext,
): Tensor {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim } = self.attention;
  const { position, starts, cache } = context;
  const { rope } = self.attention;
  const turns = turnsOf(rope.frequencies(context.length ?? tokens));
  const { dtype } = qkv;
  const q = Tensor.empty([batch, tokens, heads, head_dim], { dtype });
  // Without a cache, the keys and values of this run are all there are.
  const empty = () => Tensor.empty([batch, tokens, kvHeads, head_dim], { dtype });
  const keys = cache ? cache.keys[self.layer_idx] : empty();
  const values = cache ? cache.values[self.layer_idx] : empty();
  const count = batch * tokens * (heads + 2 * kvHeads);
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
      factor: rope.factor,
      turns,
    },
  }, {
    workgroups: workgroups(count, 8),
    constants: { HAS_NORM: self.q_scale ? 1 : 0, HAS_STARTS: starts ? 1 : 0, HAS_CACHE: cache ? 1 : 0 },
    types: { T: dtype, Turns: `array<vec4<u32>, ${turns.length / 4}>` },
  });
  const out = attention(q, keys, values, { position, causal: true, starts });
  return out.reshape([batch, tokens, heads * head_dim]);
}

/** The second norm, and `silu(gate) · up` behind it: `[batch, tokens, intermediate]`. */
function activate(self: DecoderLayerLayout, x: Tensor): Tensor {
  const { mlp_scale: scale, gate_up_proj: weight, eps } = self;
  const { dtype } = x;
  const rows = rowsOf(x);
  const inner = weight.shape[0] / 2;
  const out = Tensor.empty([...x.shape.slice(0, -1), inner], { dtype });
  if (!dispatchesRule(x)) {
    const gate_up = linear(rmsNorm(x, scale, eps), weight);
    dispatch(siluMul, { gate_up, out, params: { rows, fours: inner / 4 } }, {
      workgroups: [Math.ceil(inner / 4 / 8), Math.min(65535, Math.ceil(rows / 8))],
      types: { V: `vec4<${dtype}>` },
    });
    return out;
  }
  dispatch(gateUp, {
    x,
    scale,
    gate_up: weight,
    out,
    params: { rows, steps: scale.size / 4, inner, eps },
  }, blocks(rows, inner, dtype));
  return out;
}

/** Back to the residual stream: `x · weightᵀ + bias + residual`. */
function projectBack(x: Tensor, weight: Tensor, bias: Tensor | undefined, residual: Tensor): Tensor {
  const { dtype } = x;
  const [columns, depth] = weight.shape;
  const rows = rowsOf(residual);
  if (!dispatchesRule(residual)) return add(linear(x, weight, bias), residual);
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

/**
 * Where rows (tokens of all texts) are few, dispatches rule, and a block of the fused shaders holds all rows. Otherwise
 * computing rules: `linear` has larger blocks, or tiles on a GPU, and gains more than the fusion does.
 *
 * @param x In the residual stream, `[..., hidden]`.
 */
function dispatchesRule(x: Tensor): boolean {
  const rows = rowsOf(x);
  return rows <= 1 || rows <= 4 && x.shape[x.rank - 1] <= 128;
}

/** A block of 4 columns of all rows to an invocation, 8 of them in a workgroup. */
function blocks(rows: number, columns: number, dtype: Tensor["dtype"]) {
  return {
    workgroups: rows === 0 ? 0 : Math.ceil(columns / 32),
    constants: { SEVERAL: rows > 1 ? 1 : 0 },
    types: { T: dtype, V: `vec4<${dtype}>` },
  };
}

function rowsOf(x: Tensor): number {
  return x.shape.slice(0, -1).reduce((a, b) => a * b, 1);
}
