import {
  concatenate,
  convert,
  Layout,
  layout,
  type Parameter,
  parameter,
  rename,
  replaces,
} from "@kernelwright/sdk";
import type { AttentionConfig } from "@kernelwright/sdk/nn";
import { attentionConfig, type DecoderConfig, LlamaDecoderLayer } from "@kernelwright/sdk/models";

/** The layer as a whole: a residual cannot be fused with its neighbours from inside, since two read what it adds to. */
export const site = replaces(LlamaDecoderLayer);

/** q, k and v in one matrix, gate and up in another. The rest keeps its shape. */
@layout({
  site,
  conversions: ({ self_attn: { q_proj, o_proj, q_norm } }) => [
    rename("input_layernorm.weight", "attention_scale"),
    convert(
      ["q_proj", "k_proj", "v_proj"].map((p) => `self_attn.${p}.weight`),
      "qkv_proj",
      [concatenate(0)],
    ),
    ...(q_proj.bias
      ? [convert(["q_proj", "k_proj", "v_proj"].map((p) => `self_attn.${p}.bias`), "qkv_bias", [
        concatenate(0),
      ])]
      : []),
    ...(q_norm
      ? [rename("self_attn.q_norm.weight", "q_scale"), rename("self_attn.k_norm.weight", "k_scale")]
      : []),
    rename("self_attn.o_proj.weight", "o_proj"),
    ...(o_proj.bias ? [rename("self_attn.o_proj.bias", "o_bias")] : []),
    rename("post_attention_layernorm.weight", "mlp_scale"),
    convert(["mlp.gate_proj.weight", "mlp.up_proj.weight"], "gate_up_proj", [concatenate(0)]),
    rename("mlp.down_proj.weight", "down_proj"),
  ],
  accepts: ({ mlp, self_attn: { config } }) => {
    if (mlp.hidden_act !== "silu" && mlp.hidden_act !== "swish") {
      return `the activation is ${mlp.hidden_act}, and the kernel computes SiLU`;
    }
    if (mlp.gate_proj.bias) return "the projections of the MLP have biases";
    const { head_dim, rope } = config;
    if (rope.dim !== head_dim) {
      return `${rope.dim} of a head's ${head_dim} numbers turn, and the kernel turns all`;
    }
    const depths = [mlp.hidden_size, mlp.intermediate_size, config.num_attention_heads * config.head_dim];
    return depths.every((n) => n % 4 === 0) ||
      `the widths are ${depths.join(", ")}, and the kernel loads 4 numbers at once`;
  },
})
export class DecoderLayerLayout extends Layout {
  /** The weight of the norm before attention, `[hidden]`. */
  attention_scale: Parameter;
  /** q above k above v, `[(heads + 2 · key heads) · head_dim, hidden]`. */
  qkv_proj: Parameter;
  /** Their biases, where the model has them. */
  qkv_bias?: Parameter;
  /** The weight of `q_norm`, `[head_dim]`, where the model has it. */
  q_scale?: Parameter;
  /** The same for `k_norm`. */
  k_scale?: Parameter;
  /** `[hidden, heads · head_dim]`. */
  o_proj: Parameter;
  /** Its bias, where the model has one. */
  o_bias?: Parameter;
  /** The weight of the norm before the MLP, `[hidden]`. */
  mlp_scale: Parameter;
  /** Gate above up, `[2 · intermediate, hidden]`. */
  gate_up_proj: Parameter;
  /** `[hidden, intermediate]`. */
  down_proj: Parameter;
  /** The numbers of attention. */
  readonly attention: AttentionConfig;
  /** The epsilon of both norms. */
  readonly eps: number;

  /** Takes exactly what LlamaDecoderLayer's constructor takes. */
  constructor(config: DecoderConfig, readonly layer_idx: number) {
    super();
    const { hidden_size: hidden, intermediate_size: inner } = config;
    this.attention = attentionConfig(config);
    const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim } = this.attention;
    this.eps = config.rms_norm_eps;
    const rows = (heads + 2 * kvHeads) * head_dim;
    this.attention_scale = parameter([hidden]);
    this.qkv_proj = parameter([rows, hidden]);
    if (this.attention.attention_bias || this.attention.qkv_bias) this.qkv_bias = parameter([rows]);
    if (this.attention.qk_norm_eps !== undefined) {
      this.q_scale = parameter([head_dim]);
      this.k_scale = parameter([head_dim]);
    }
    this.o_proj = parameter([hidden, heads * head_dim]);
    if (this.attention.attention_bias) this.o_bias = parameter([hidden]);
    this.mlp_scale = parameter([hidden]);
    this.gate_up_proj = parameter([2 * inner, hidden]);
    this.down_proj = parameter([hidden, inner]);
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
