import {
  concatenate,
  convert,
  Layout,
  layout,
  type Parameter,
  parameter,
  permuteForRope,
  rename,
  replaces,
} from "@kernelwright/sdk";
import { type AttentionConfig, LlamaAttention } from "@kernelwright/sdk/nn";

/** The whole attention of a decoder layer. */
export const site = replaces(LlamaAttention);

/**
 * q above k above v in one matrix. The rows of q and k are interleaved, head by head, so that the two numbers that
 * are rotated together lie side by side; v is not rotated and stays as it is.
 */
@layout({
  site,
  // A function, since the size of a head, the biases and the norms are the module's.
  conversions: ({ config, q_proj, o_proj, q_norm }) => {
    const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = config;
    const together = [permuteForRope({ headDim, heads: [heads, kvHeads, 0] }), concatenate(0)];
    // What scales a row must follow it.
    const alone = [permuteForRope({ headDim, heads: 1 })];
    return [
      convert(["q_proj.weight", "k_proj.weight", "v_proj.weight"], "qkv_proj", together),
      ...(q_proj.bias ? [convert(["q_proj.bias", "k_proj.bias", "v_proj.bias"], "qkv_bias", together)] : []),
      rename("o_proj.weight", "o_proj"),
      ...(o_proj.bias ? [rename("o_proj.bias", "o_bias")] : []),
      ...(q_norm
        ? [convert("q_norm.weight", "q_scale", alone), convert("k_norm.weight", "k_scale", alone)]
        : []),
    ];
  },
  accepts: ({ config: { head_dim, rope } }) =>
    rope.dim === head_dim || `${rope.dim} of a head's ${head_dim} numbers turn, and the kernel turns all`,
})
export class QKVAttentionLayout extends Layout {
  /** q, k and v, `[(heads + 2 · key heads) · head_dim, hidden_size]`. */
  qkv_proj: Parameter;
  /** Their biases, where the model has them. */
  qkv_bias?: Parameter;
  /** `[hidden_size, heads · head_dim]`. */
  o_proj: Parameter;
  /** Its bias, where the model has one. */
  o_bias?: Parameter;
  /** The weight of `q_norm`, interleaved like a head, `[head_dim]`, where the model has it. */
  q_scale?: Parameter;
  /** The same for `k_norm`. */
  k_scale?: Parameter;

  /** Takes exactly what LlamaAttention's constructor takes. */
  constructor(readonly config: AttentionConfig, readonly layer_idx: number) {
    super();
    const { hidden_size, num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim } = config;
    const rows = (heads + 2 * kvHeads) * head_dim;
    this.qkv_proj = parameter([rows, hidden_size]);
    if (config.attention_bias || config.qkv_bias) this.qkv_bias = parameter([rows]);
    this.o_proj = parameter([hidden_size, heads * head_dim]);
    if (config.attention_bias) this.o_bias = parameter([hidden_size]);
    if (config.qk_norm_eps !== undefined) {
      this.q_scale = parameter([head_dim]);
      this.k_scale = parameter([head_dim]);
    }
  }
}

// ---------------------------------------------------------------------------

const known = new WeakMap<readonly number[], readonly number[]>();

/**
 * For each pair the high and low word of its frequency in turns per position, times 2^64: whole numbers multiply
 * exactly, where an angle in f32 would be off in the fourth decimal after a few thousand tokens. Two pairs make a
 * vec4 of the uniform.
 *
 * @param frequencies Radians per position.
 */
export function turnsOf(frequencies: readonly number[]): readonly number[] {
  const before = known.get(frequencies);
  if (before) return before;
  const words: number[] = [];
  for (const frequency of frequencies) {
    const turns = frequency / (2 * Math.PI);
    const scaled = (turns - Math.floor(turns)) * 2 ** 32;
    const high = Math.floor(scaled);
    words.push(high, Math.floor((scaled - high) * 2 ** 32));
  }
  while (words.length % 4 !== 0) words.push(0);
  known.set(frequencies, words);
  return words;
}
