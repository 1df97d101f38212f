import { checkFields } from "../arguments.ts";
import { raise } from "../errors.ts";
import { attention, rope } from "../ops/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { attendCached, type KVCache } from "./kv_cache.ts";
import { layer } from "./layer.ts";
import { Linear } from "./linear.ts";
import { Module } from "./module.ts";
import { RMSNorm } from "./norms.ts";
import type { Rope } from "./rope.ts";

/** What every decoder layer of one run shares. */
export interface AttentionContext {
  /** i32 `[1]`: how many tokens came before this run. */
  readonly position: Tensor;
  /** i32 `[batch]`: how many padding tokens each row begins with. */
  readonly starts?: Tensor;
  /** Keys and values of the tokens before; without it the run is all there is. */
  readonly cache?: KVCache;
  /** How many tokens there are, with those in the cache: some rotary embeddings go by it. Defaults to those of this run. */
  readonly length?: number;
}

/** The numbers that attention is built from, named as in config.json. */
export interface AttentionConfig {
  /** The residual stream's width. */
  readonly hidden_size: number;
  /** Query heads. */
  readonly num_attention_heads: number;
  /** Key/value heads; divides `num_attention_heads`. */
  readonly num_key_value_heads: number;
  /** Elements per head. */
  readonly head_dim: number;
  /** How positions turn q and k. */
  readonly rope: Rope;
  /** Whether the projections have biases. */
  readonly attention_bias: boolean;
  /** Whether q, k and v have biases though o has none (Qwen2). */
  readonly qkv_bias?: boolean;
  /** The epsilon of `q_norm` and `k_norm`, where the model has them (Qwen3). */
  readonly qk_norm_eps?: number;
}

/** The numbers of attention that sees a window. */
export interface WindowConfig extends AttentionConfig {
  /** How many positions a token sees: its own and those before it. */
  readonly sliding_window: number;
}

/** What full and windowed attention have in common. */
abstract class CausalAttention<C extends AttentionConfig> extends Module {
  /** `[num_attention_heads · head_dim, hidden_size]`. */
  q_proj: Linear;
  /** `[num_key_value_heads · head_dim, hidden_size]`. */
  k_proj: Linear;
  /** `[num_key_value_heads · head_dim, hidden_size]`. */
  v_proj: Linear;
  /** `[hidden_size, num_attention_heads · head_dim]`. */
  o_proj: Linear;
  /** Normalises each head of q before the rotary embedding, where the model has it. */
  q_norm?: RMSNorm;
  /** The same for k. */
  k_norm?: RMSNorm;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   */
  constructor(readonly config: C, readonly layer_idx: number, protected readonly window?: number) {
    super();
    checkFields("new LlamaAttention(): config", config, {
      hidden_size: "a count",
      num_attention_heads: "a count",
      num_key_value_heads: "a count",
      head_dim: "a count",
    });
    const { hidden_size, num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim } = config;
    if (heads % kvHeads !== 0) {
      raise(
        "KW-CONFIG-VALUE",
        `num_attention_heads (${heads}) is not a multiple of num_key_value_heads (${kvHeads})`,
      );
    }
    const bias = config.attention_bias || (config.qkv_bias ?? false);
    this.q_proj = new Linear(hidden_size, heads * head_dim, bias);
    this.k_proj = new Linear(hidden_size, kvHeads * head_dim, bias);
    this.v_proj = new Linear(hidden_size, kvHeads * head_dim, bias);
    this.o_proj = new Linear(heads * head_dim, hidden_size, config.attention_bias);
    if (config.qk_norm_eps !== undefined) {
      this.q_norm = new RMSNorm(head_dim, config.qk_norm_eps);
      this.k_norm = new RMSNorm(head_dim, config.qk_norm_eps);
    }
  }

  /** `[batch, tokens, hidden_size]` → the same shape. Writes the cache of its layer, if there is one. */
  override forward(hidden_states: Tensor, context: AttentionContext): Tensor {
    const [batch, tokens] = hidden_states.shape;
    const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim } = this.config;
    let q = this.q_proj.call(hidden_states).reshape([batch, tokens, heads, head_dim]);
    let k = this.k_proj.call(hidden_states).reshape([batch, tokens, kvHeads, head_dim]);
    const v = this.v_proj.call(hidden_states).reshape([batch, tokens, kvHeads, head_dim]);
    if (this.q_norm) q = this.q_norm.call(q);
    if (this.k_norm) k = this.k_norm.call(k);
    const { position, starts, cache, length = tokens } = context;
    const turning = {
      frequencies: this.config.rope.frequencies(length),
      factor: this.config.rope.factor,
      starts,
    };
    q = rope(q, position, turning);
    k = rope(k, position, turning);
    const options = {
      position,
      starts,
      causal: true,
      before: this.window === undefined ? undefined : this.window - 1,
    };
    const heads_out = cache
      ? attendCached(cache, this.layer_idx, q, k, v, options)
      : attention(q, k, v, options);
    return this.o_proj.call(heads_out.reshape([batch, tokens, heads * head_dim]));
  }
}

/** Causal self-attention with grouped queries (Ainslie et al. 2023) and rotary positions (Su et al. 2021). */
@layer("LlamaAttention")
export class LlamaAttention extends CausalAttention<AttentionConfig> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   */
  constructor(config: AttentionConfig, layer_idx: number) {
    super(config, layer_idx);
  }
}

/**
 * {@linkcode LlamaAttention} in which a token sees a window: itself and the `sliding_window - 1` before it (Beltagy et al.
 * 2020). A class of its own, since a kernel that knows no window would see everything.
 */
@layer("SlidingWindowAttention")
export class SlidingWindowAttention extends CausalAttention<WindowConfig> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   */
  constructor(config: WindowConfig, layer_idx: number) {
    super(config, layer_idx, config.sliding_window);
  }
}
