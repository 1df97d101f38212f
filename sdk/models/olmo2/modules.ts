import { checkArgument } from "../../arguments.ts";
import { type AttentionConfig, type AttentionContext, CausalAttention } from "../../nn/mod.ts";
import { layer, LlamaMLP, Module, RMSNorm } from "../../nn/mod.ts";
import { add } from "../../ops/mod.ts";
import { releaseEarly, type Tensor } from "../../tensor/mod.ts";
import type { DecoderConfig } from "../config.ts";
import { attentionConfig } from "../decoder.ts";

/**
 * Attention whose q and k are normalised over all heads at once.
 *
 * No example: it is used as {@linkcode LlamaAttention} is, whose example shows it.
 */
@layer("Olmo2Attention")
export class Olmo2Attention extends CausalAttention {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   * @param eps The norms' epsilon.
   */
  constructor(config: AttentionConfig, layer_idx: number, eps: number) {
    super(config, layer_idx, { norm: (width) => new RMSNorm(width, eps), normsWhole: true });
  }
}

/**
 * A decoder layer whose norms come after attention and after the MLP, before their residuals.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("Olmo2DecoderLayer")
export class Olmo2DecoderLayer extends Module {
  /** Attention. */
  self_attn: Olmo2Attention;
  /** The gated MLP. */
  mlp: LlamaMLP;
  /** After attention. */
  post_attention_layernorm: RMSNorm;
  /** After the MLP. */
  post_feedforward_layernorm: RMSNorm;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   */
  constructor(config: DecoderConfig, layer_idx: number) {
    super();
    checkArgument("new Olmo2DecoderLayer(): config", config, "an object");
    const { hidden_size, intermediate_size, hidden_act, rms_norm_eps } = config;
    this.self_attn = new Olmo2Attention(attentionConfig(config), layer_idx, rms_norm_eps);
    this.mlp = new LlamaMLP(hidden_size, intermediate_size, hidden_act);
    this.post_attention_layernorm = new RMSNorm(hidden_size, rms_norm_eps);
    this.post_feedforward_layernorm = new RMSNorm(hidden_size, rms_norm_eps);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor, context: AttentionContext): Tensor {
    const attended = this.self_attn.call(hidden_states, context);
    const normed = this.post_attention_layernorm.call(attended);
    const residual = add(hidden_states, normed);
    releaseEarly(attended, normed);
    return add(residual, this.post_feedforward_layernorm.call(this.mlp.call(residual)));
  }
}
