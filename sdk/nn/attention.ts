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

/** A norm over the last dimension. */
export type Norm = Module & { forward(x: Tensor): Tensor };

/** In what a kind of attention differs from Llama's. */
export interface AttentionTraits<N extends Norm = RMSNorm> {
  /** How many positions a token sees; defaults to all. */
  readonly window?: number;
  /** What scores are multiplied with; defaults to `1 / √head_dim`. */
  readonly scale?: number;
  /** Scores become `softcap · tanh(score / softcap)`; defaults to they stay as they are. */
  readonly softcap?: number;
  /** Makes the norms of q and k over so many numbers; defaults to there are none. */
  readonly norm?: (width: number) => N;
  /** Whether those norms go over the whole projection, and not head by head. */
  readonly normsWhole?: boolean;
}

/**
 * What all kinds of causal self-attention have in common: grouped queries and rotary positions.
 *
 * No example: it is abstract. {@linkcode LlamaAttention} extends it, whose example shows how it is used.
 */
export abstract class CausalAttention<
  C extends AttentionConfig = AttentionConfig,
  N extends Norm = RMSNorm,
> extends Module {
  /** `[num_attention_heads · head_dim, hidden_size]`. */
  q_proj: Linear;
  /** `[num_key_value_heads · head_dim, hidden_size]`. */
  k_proj: Linear;
  /** `[num_key_value_heads · head_dim, hidden_size]`. */
  v_proj: Linear;
  /** `[hidden_size, num_attention_heads · head_dim]`. */
  o_proj: Linear;
  /** Normalises q before the rotary embedding, where the model has it. */
  q_norm?: N;
  /** The same for k. */
  k_norm?: N;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   * @throws KW-CONFIG-VALUE when the heads of q are not a multiple of those of k and v.
   */
  constructor(
    readonly config: C,
    readonly layer_idx: number,
    protected readonly traits: AttentionTraits<N> = {},
  ) {
    super();
    checkFields(`new ${new.target.name}(): config`, config, {
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
    const { norm, normsWhole } = traits;
    if (norm) {
      this.q_norm = norm(normsWhole ? heads * head_dim : head_dim);
      this.k_norm = norm(normsWhole ? kvHeads * head_dim : head_dim);
    }
  }

  /** `[batch, tokens, hidden_size]` → the same shape. Writes the cache of its layer, if there is one. */
  override forward(hidden_states: Tensor, context: AttentionContext): Tensor {
    const [batch, tokens] = hidden_states.shape;
    const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim } = this.config;
    const { window, scale, softcap, normsWhole } = this.traits;
    const split = (x: Tensor, heads: number, norm?: Norm) => {
      const parts = [batch, tokens, heads, head_dim];
      if (!norm) return x.reshape(parts);
      return normsWhole ? norm.call(x).reshape(parts) : norm.call(x.reshape(parts));
    };
    let q = split(this.q_proj.call(hidden_states), heads, this.q_norm);
    let k = split(this.k_proj.call(hidden_states), kvHeads, this.k_norm);
    const v = split(this.v_proj.call(hidden_states), kvHeads);
    const { position, starts, cache, length = tokens } = context;
    const turning = {
      frequencies: this.config.rope.frequencies(length),
      factor: this.config.rope.factor,
      starts,
    };
    q = this.turn(q, position, turning);
    k = this.turn(k, position, turning);
    const options = {
      position,
      starts,
      causal: true,
      before: window === undefined ? undefined : window - 1,
      scale,
      softcap,
    };
    const heads_out = cache
      ? attendCached(cache, this.layer_idx, q, k, v, options)
      : attention(q, k, v, options);
    return this.o_proj.call(heads_out.reshape([batch, tokens, heads * head_dim]));
  }

  /** Turns the heads of q or k, `[batch, tokens, heads, head_dim]`, by their positions. */
  protected turn(x: Tensor, position: Tensor, turning: Parameters<typeof rope>[2]): Tensor {
    return rope(x, position, turning);
  }
}

/** Llama's traits: norms of q and k, head by head, where the config says so. */
function llamaTraits(config: AttentionConfig, window?: number): AttentionTraits {
  const eps = config?.qk_norm_eps; // the constructor says what is wrong with a config
  return { window, norm: eps === undefined ? undefined : (width) => new RMSNorm(width, eps) };
}

/**
 * Causal self-attention with grouped queries (Ainslie et al. 2023) and rotary positions (Su et al. 2021).
 *
 * @example
 * ```ts
 * import { Tensor } from "@kernelwright/sdk";
 * import { type AttentionConfig, LlamaAttention, Rope } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * const config: AttentionConfig = {
 *   hidden_size: 32,
 *   num_attention_heads: 4,
 *   num_key_value_heads: 2,
 *   head_dim: 8,
 *   rope: new Rope(8, 10000),
 *   attention_bias: false,
 * };
 * using x = Tensor.empty([1, 6, 32], { device: "meta" });
 * using position = Tensor.empty([1], { dtype: "i32", device: "meta" });
 * assertEquals(new LlamaAttention(config, 0).call(x, { position }).shape, [1, 6, 32]);
 * ```
 */
@layer("LlamaAttention")
export class LlamaAttention extends CausalAttention<AttentionConfig> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   */
  constructor(config: AttentionConfig, layer_idx: number) {
    super(config, layer_idx, llamaTraits(config));
  }
}

/**
 * {@linkcode LlamaAttention} in which a token sees a window: itself and the `sliding_window - 1` before it (Beltagy et al.
 * 2020). A class of its own, since a kernel that knows no window would see everything.
 *
 * @example
 * ```ts
 * import { Tensor } from "@kernelwright/sdk";
 * import { Rope, SlidingWindowAttention, type WindowConfig } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * const config: WindowConfig = {
 *   hidden_size: 32,
 *   num_attention_heads: 4,
 *   num_key_value_heads: 2,
 *   head_dim: 8,
 *   rope: new Rope(8, 10000),
 *   attention_bias: false,
 *   sliding_window: 4,
 * };
 * using x = Tensor.empty([1, 6, 32], { device: "meta" });
 * using position = Tensor.empty([1], { dtype: "i32", device: "meta" });
 * assertEquals(new SlidingWindowAttention(config, 0).call(x, { position }).shape, [1, 6, 32]);
 * ```
 */
@layer("SlidingWindowAttention")
export class SlidingWindowAttention extends CausalAttention<WindowConfig> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   */
  constructor(config: WindowConfig, layer_idx: number) {
    checkFields("new SlidingWindowAttention(): config", config, { sliding_window: "a count" });
    super(config, layer_idx, llamaTraits(config, config?.sliding_window));
  }
}
