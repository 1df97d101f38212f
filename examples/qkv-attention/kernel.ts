import { dispatch, kernel, shader, Tensor, workgroups } from "@kernelwright/sdk";
import { attention, linear } from "@kernelwright/sdk/ops";
import type { AttentionContext } from "@kernelwright/sdk/nn";
import { QKVAttentionLayout, site, turnsOf } from "./layout.ts";
import code from "./rotate.wgsl" with { type: "text" };

const rotate = shader({ name: "rotate.wgsl", code });

/** Attention in four dispatches: the projections, norm and rotation and cache, attention, the way out. */
@kernel({
  site,
  layout: QKVAttentionLayout,
  version: "0.1.0",
  requires: { dtypes: ["f32", "f16"] },
  writes(_hidden_states, { cache }) {
    return [cache?.keys[this.layer_idx], cache?.values[this.layer_idx]];
  },
})
export class QKVAttention {
  /** `[batch, tokens, hidden_size]` → the same shape. Writes the cache of its layer, if there is one. */
  forward(this: QKVAttentionLayout, hidden_states: Tensor, context: AttentionContext): Tensor {
    const [batch, tokens] = hidden_states.shape;
    const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim, qk_norm_eps: eps = 0 } =
      this.config;
    const { position, starts, cache, length = tokens } = context;
    const { rope } = this.config;
    const turns = turnsOf(rope.frequencies(length));
    const { dtype } = hidden_states;
    // An operator of the SDK is a part like any other: one matrix makes it one dispatch.
    const qkv = linear(hidden_states, this.qkv_proj, this.qkv_bias);
    const q = Tensor.empty([batch, tokens, heads, head_dim], { dtype });
    // Without a cache, the keys and values of this run are all there are.
    const empty = () => Tensor.empty([batch, tokens, kvHeads, head_dim], { dtype });
    const keys = cache ? cache.keys[this.layer_idx] : empty();
    const values = cache ? cache.values[this.layer_idx] : empty();
    const count = batch * tokens * (heads + 2 * kvHeads);
    dispatch(rotate, {
      qkv,
      q_scale: this.q_scale ?? qkv, // not read where HAS_NORM is 0
      k_scale: this.k_scale ?? qkv,
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
        eps,
        factor: rope.factor,
        turns,
      },
    }, {
      workgroups: workgroups(count, 8),
      constants: {
        HAS_NORM: this.q_scale ? 1 : 0,
        HAS_STARTS: starts ? 1 : 0,
        HAS_CACHE: cache ? 1 : 0,
      },
      types: { T: dtype, Pair: `vec2<${dtype}>`, Turns: `array<vec4<u32>, ${turns.length / 4}>` },
    });
    const attended = attention(q, keys, values, { position, causal: true, starts });
    return linear(attended.reshape([batch, tokens, heads * head_dim]), this.o_proj, this.o_bias);
  }
}
