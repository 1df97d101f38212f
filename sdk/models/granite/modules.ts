import { checkArgument } from "../../arguments.ts";
import { type AttentionConfig, type AttentionContext, CausalAttention } from "../../nn/mod.ts";
import { layer, LlamaMLP, Module, RMSNorm } from "../../nn/mod.ts";
import { add, scale } from "../../ops/mod.ts";
import { releaseEarly, type Tensor } from "../../tensor/mod.ts";
import type { DecoderConfig } from "../config.ts";
import { attentionConfig, DecoderModel } from "../decoder.ts";
import { DecoderLM } from "../decoder_lm.ts";

/** A decoder's config with Granite's multipliers. */
export interface GraniteConfig extends DecoderConfig {
  /** What embeddings are multiplied with. */
  readonly embedding_multiplier: number;
  /** What scores are multiplied with. */
  readonly attention_multiplier: number;
  /** What attention and the MLP add is multiplied with. */
  readonly residual_multiplier: number;
  /** What logits are divided by. */
  readonly logits_scaling: number;
}

/**
 * Attention whose scores have a multiplier of their own, in place of `1 / √head_dim`.
 *
 * No example: it is used as {@linkcode LlamaAttention} is, whose example shows it.
 */
@layer("GraniteAttention")
export class GraniteAttention extends CausalAttention {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   * @param attention_multiplier What scores are multiplied with.
   */
  constructor(config: AttentionConfig, layer_idx: number, readonly attention_multiplier: number) {
    super(config, layer_idx, { scale: attention_multiplier });
    checkArgument("new GraniteAttention(): attention_multiplier", attention_multiplier, "a number");
  }
}

/**
 * A decoder layer that multiplies what attention and the MLP add.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("GraniteDecoderLayer")
export class GraniteDecoderLayer extends Module {
  /** Attention. */
  self_attn: GraniteAttention;
  /** The gated MLP. */
  mlp: LlamaMLP;
  /** Before attention. */
  input_layernorm: RMSNorm;
  /** Before the MLP. */
  post_attention_layernorm: RMSNorm;
  /** What attention and the MLP add is multiplied with. */
  readonly residual_multiplier: number;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   */
  constructor(config: GraniteConfig, layer_idx: number) {
    super();
    checkArgument("new GraniteDecoderLayer(): config", config, "an object");
    const { hidden_size, intermediate_size, hidden_act, mlp_bias, rms_norm_eps } = config;
    this.self_attn = new GraniteAttention(attentionConfig(config), layer_idx, config.attention_multiplier);
    this.mlp = new LlamaMLP(hidden_size, intermediate_size, hidden_act, mlp_bias);
    this.input_layernorm = new RMSNorm(hidden_size, rms_norm_eps);
    this.post_attention_layernorm = new RMSNorm(hidden_size, rms_norm_eps);
    this.residual_multiplier = config.residual_multiplier;
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor, context: AttentionContext): Tensor {
    const normed = this.input_layernorm.call(hidden_states);
    const attended = scale(this.self_attn.call(normed, context), this.residual_multiplier);
    const residual = add(hidden_states, attended);
    releaseEarly(normed, attended);
    const fed = this.mlp.call(this.post_attention_layernorm.call(residual));
    return add(residual, scale(fed, this.residual_multiplier));
  }
}

/** A decoder that multiplies its embeddings. */
class GraniteModel extends DecoderModel {
  constructor(config: GraniteConfig, private readonly multiplier = config.embedding_multiplier) {
    super(config, (i) => new GraniteDecoderLayer(config, i));
  }

  protected override embed(input_ids: Tensor): Tensor {
    return scale(super.embed(input_ids), this.multiplier);
  }
}

/** A Granite decoder with a head whose logits are divided. */
export class GraniteLM extends DecoderLM {
  /** Builds the module; its parameters are on the meta device. */
  constructor(override readonly config: GraniteConfig) {
    super(config, undefined, new GraniteModel(config));
  }

  override logits(hidden_states: Tensor): Tensor {
    return scale(super.logits(hidden_states), 1 / this.config.logits_scaling);
  }
}
