import { checkArgument, checkFields, checkInstance } from "../../arguments.ts";
import {
  type AttentionConfig,
  type AttentionContext,
  CausalAttention,
  GemmaRMSNorm,
  layer,
  LlamaMLP,
  Module,
  type Norm,
  type WindowConfig,
} from "../../nn/mod.ts";
import { add } from "../../ops/mod.ts";
import { releaseEarly, type Tensor } from "../../tensor/mod.ts";
import type { GemmaConfig } from "./config.ts";
import { attentionConfig } from "../decoder.ts";

/** The numbers of Gemma's attention. */
export interface GemmaAttentionConfig extends AttentionConfig {
  /** Scores are multiplied with `1 / √query_pre_attn_scalar`. */
  readonly query_pre_attn_scalar: number;
}

/** The numbers of Gemma 2's attention. */
export interface Gemma2AttentionConfig extends GemmaAttentionConfig {
  /** Scores become `cap · tanh(score / cap)`, where there is a cap. */
  readonly attn_logit_softcapping?: number;
}

/** The numbers of Gemma 3's attention. */
export interface Gemma3AttentionConfig extends GemmaAttentionConfig {
  /** The epsilon of `q_norm` and `k_norm`. */
  readonly rms_norm_eps: number;
}

/**
 * Gemma 2's attention: scores have a scale of their own and a soft cap.
 *
 * No example: it is used as {@linkcode LlamaAttention} is, whose example shows it.
 */
@layer("Gemma2Attention")
export class Gemma2Attention extends CausalAttention<Gemma2AttentionConfig> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   */
  constructor(config: Gemma2AttentionConfig, layer_idx: number) {
    super(config, layer_idx, traits2(config));
  }
}

/**
 * {@linkcode Gemma2Attention} in which a token sees a window.
 *
 * No example: it is used as {@linkcode LlamaAttention} is, whose example shows it.
 */
@layer("Gemma2SlidingWindowAttention")
export class Gemma2SlidingWindowAttention extends CausalAttention<Gemma2AttentionConfig & WindowConfig> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   */
  constructor(config: Gemma2AttentionConfig & WindowConfig, layer_idx: number) {
    super(config, layer_idx, traits2(config, config?.sliding_window));
  }
}

/**
 * Gemma 3's attention: scores have a scale of their own, and Gemma's norms go over each head of q and k.
 *
 * No example: it is used as {@linkcode LlamaAttention} is, whose example shows it.
 */
@layer("Gemma3Attention")
export class Gemma3Attention extends CausalAttention<Gemma3AttentionConfig, GemmaRMSNorm> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   */
  constructor(config: Gemma3AttentionConfig, layer_idx: number) {
    super(config, layer_idx, traits3(config));
  }
}

/**
 * {@linkcode Gemma3Attention} in which a token sees a window.
 *
 * No example: it is used as {@linkcode LlamaAttention} is, whose example shows it.
 */
@layer("Gemma3SlidingWindowAttention")
export class Gemma3SlidingWindowAttention
  extends CausalAttention<Gemma3AttentionConfig & WindowConfig, GemmaRMSNorm> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   */
  constructor(config: Gemma3AttentionConfig & WindowConfig, layer_idx: number) {
    super(config, layer_idx, traits3(config, config?.sliding_window));
  }
}

/**
 * Attention and a gated MLP, each between two norms: the second before the residual.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
export abstract class GemmaDecoderLayer<A extends CausalAttention<GemmaAttentionConfig, Norm>>
  extends Module {
  /** Attention. */
  self_attn: A;
  /** The gated MLP. */
  mlp: LlamaMLP;
  /** Before attention. */
  input_layernorm: GemmaRMSNorm;
  /** After attention. */
  post_attention_layernorm: GemmaRMSNorm;
  /** Before the MLP. */
  pre_feedforward_layernorm: GemmaRMSNorm;
  /** After the MLP. */
  post_feedforward_layernorm: GemmaRMSNorm;

  /** Builds the module around its attention; its parameters are on the meta device. */
  constructor(config: GemmaConfig, self_attn: A) {
    super();
    checkArgument(`new ${new.target.name}(): config`, config, "an object");
    checkInstance(`new ${new.target.name}(): self_attn`, self_attn, CausalAttention);
    const { hidden_size, intermediate_size, hidden_act, rms_norm_eps } = config;
    const norm = () => new GemmaRMSNorm(hidden_size, rms_norm_eps);
    this.self_attn = self_attn;
    this.mlp = new LlamaMLP(hidden_size, intermediate_size, hidden_act);
    this.input_layernorm = norm();
    this.post_attention_layernorm = norm();
    this.pre_feedforward_layernorm = norm();
    this.post_feedforward_layernorm = norm();
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor, context: AttentionContext): Tensor {
    const attention: CausalAttention<GemmaAttentionConfig, Norm> = this.self_attn;
    const attended = attention.call(this.input_layernorm.call(hidden_states), context);
    const normed = this.post_attention_layernorm.call(attended);
    const residual = add(hidden_states, normed);
    releaseEarly(attended, normed);
    const fed = this.mlp.call(this.pre_feedforward_layernorm.call(residual));
    return add(residual, this.post_feedforward_layernorm.call(fed));
  }
}

/**
 * Gemma 2's layer that sees everything.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("Gemma2DecoderLayer")
export class Gemma2DecoderLayer extends GemmaDecoderLayer<Gemma2Attention> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   */
  constructor(config: GemmaConfig, layer_idx: number) {
    super(config, new Gemma2Attention(gemmaAttention(config, layer_idx), layer_idx));
  }
}

/**
 * {@linkcode Gemma2DecoderLayer} in which a token sees a window.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("Gemma2SlidingWindowDecoderLayer")
export class Gemma2SlidingWindowDecoderLayer extends GemmaDecoderLayer<Gemma2SlidingWindowAttention> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   * @param sliding_window How many positions a token sees.
   */
  constructor(config: GemmaConfig, layer_idx: number, sliding_window: number) {
    const numbers = { ...gemmaAttention(config, layer_idx), sliding_window };
    super(config, new Gemma2SlidingWindowAttention(numbers, layer_idx));
  }
}

/**
 * Gemma 3's layer that sees everything.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("Gemma3DecoderLayer")
export class Gemma3DecoderLayer extends GemmaDecoderLayer<Gemma3Attention> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   */
  constructor(config: GemmaConfig, layer_idx: number) {
    super(config, new Gemma3Attention(gemmaAttention(config, layer_idx), layer_idx));
  }
}

/**
 * {@linkcode Gemma3DecoderLayer} in which a token sees a window.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("Gemma3SlidingWindowDecoderLayer")
export class Gemma3SlidingWindowDecoderLayer extends GemmaDecoderLayer<Gemma3SlidingWindowAttention> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   * @param sliding_window How many positions a token sees.
   */
  constructor(config: GemmaConfig, layer_idx: number, sliding_window: number) {
    const numbers = { ...gemmaAttention(config, layer_idx), sliding_window };
    super(config, new Gemma3SlidingWindowAttention(numbers, layer_idx));
  }
}

// ---------------------------------------------------------------------------

function traits2(c: Gemma2AttentionConfig, window?: number) {
  checkFields("new Gemma2Attention(): config", c, { query_pre_attn_scalar: "a number" });
  return { window, scale: c.query_pre_attn_scalar ** -0.5, softcap: c.attn_logit_softcapping };
}

function traits3(c: Gemma3AttentionConfig, window?: number) {
  checkFields("new Gemma3Attention(): config", c, { query_pre_attn_scalar: "a number" });
  const norm = (width: number) => new GemmaRMSNorm(width, c.rms_norm_eps);
  return { window, scale: c.query_pre_attn_scalar ** -0.5, norm };
}

/** The numbers of attention, from a config. */
function gemmaAttention(c: GemmaConfig, layer_idx: number): Gemma2AttentionConfig & Gemma3AttentionConfig {
  return {
    ...attentionConfig(c),
    rope: c.ropes?.[layer_idx] ?? c.rope,
    query_pre_attn_scalar: c.query_pre_attn_scalar,
    attn_logit_softcapping: c.attn_logit_softcapping,
    rms_norm_eps: c.rms_norm_eps,
  };
}
