import { layer, LlamaAttention, SlidingWindowAttention } from "../../nn/mod.ts";
import type { Tensor } from "../../tensor/mod.ts";
import type { DecoderConfig } from "../config.ts";
import { attentionConfig, GatedDecoderLayer, gatedMLP } from "../decoder.ts";

/**
 * {@linkcode LlamaAttention} whose heads no position turns (Kazemnejad et al. 2023). A class of its own: a kernel for that
 * one would turn them.
 *
 * No example: it is used as {@linkcode LlamaAttention} is, whose example shows it.
 */
@layer("NoRopeAttention")
export class NoRopeAttention extends LlamaAttention {
  /** Leaves the heads as they are. */
  protected override turn(x: Tensor): Tensor {
    return x;
  }
}

/**
 * {@linkcode NoRopeAttention} in which a token sees a window.
 *
 * No example: it is used as {@linkcode LlamaAttention} is, whose example shows it.
 */
@layer("NoRopeSlidingWindowAttention")
export class NoRopeSlidingWindowAttention extends SlidingWindowAttention {
  /** Leaves the heads as they are. */
  protected override turn(x: Tensor): Tensor {
    return x;
  }
}

/**
 * A decoder layer of {@linkcode NoRopeAttention} and an MLP.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("NoRopeDecoderLayer")
export class NoRopeDecoderLayer extends GatedDecoderLayer<NoRopeAttention> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   */
  constructor(config: DecoderConfig, layer_idx: number) {
    super(config, new NoRopeAttention(attentionConfig(config), layer_idx), gatedMLP(config));
  }
}

/**
 * {@linkcode NoRopeDecoderLayer} in which a token sees a window.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("NoRopeSlidingWindowDecoderLayer")
export class NoRopeSlidingWindowDecoderLayer extends GatedDecoderLayer<NoRopeSlidingWindowAttention> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   * @param sliding_window How many positions a token sees.
   */
  constructor(config: DecoderConfig, layer_idx: number, sliding_window: number) {
    const attention = new NoRopeSlidingWindowAttention(
      { ...attentionConfig(config), sliding_window },
      layer_idx,
    );
    super(config, attention, gatedMLP(config));
  }
}
