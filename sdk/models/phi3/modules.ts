import { checkArgument, checkFields } from "../../arguments.ts";
import {
  attendCached,
  type AttentionConfig,
  type AttentionContext,
  type GatedActivation,
  gatedActivation,
  layer,
  Linear,
  Module,
  type WindowConfig,
} from "../../nn/mod.ts";
import { attention, rope, slice } from "../../ops/mod.ts";
import type { Tensor } from "../../tensor/mod.ts";
import type { DecoderConfig } from "../config.ts";
import { attentionConfig, GatedDecoderLayer } from "../decoder.ts";

/**
 * What full and windowed attention with q, k and v in one matrix have in common.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
export abstract class FusedAttention<C extends AttentionConfig> extends Module {
  /** The rows of q, of k and of v: `[(num_attention_heads + 2 · num_key_value_heads) · head_dim, hidden_size]`. */
  qkv_proj: Linear;
  /** `[hidden_size, num_attention_heads · head_dim]`. */
  o_proj: Linear;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly config: C, readonly layer_idx: number, protected readonly window?: number) {
    super();
    checkArgument("new Phi3Attention(): config", config, "an object");
    const { hidden_size, num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim } = config;
    this.qkv_proj = new Linear(hidden_size, (heads + 2 * kvHeads) * head_dim, false);
    this.o_proj = new Linear(heads * head_dim, hidden_size, false);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. Writes the cache of its layer, if there is one. */
  override forward(hidden_states: Tensor, context: AttentionContext): Tensor {
    const [batch, tokens] = hidden_states.shape;
    const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim, rope: turns } = this.config;
    const { position, starts, cache, length = tokens } = context;
    const qkv = this.qkv_proj.call(hidden_states)
      .reshape([batch, tokens, heads + 2 * kvHeads, head_dim]);
    const turning = { frequencies: turns.frequencies(length), factor: turns.factor, starts };
    const q = rope(slice(qkv, 2, 0, heads), position, turning);
    const k = rope(slice(qkv, 2, heads, heads + kvHeads), position, turning);
    const v = slice(qkv, 2, heads + kvHeads, heads + 2 * kvHeads);
    const before = this.window === undefined ? undefined : this.window - 1;
    const options = { position, starts, causal: true, before };
    const out = cache ? attendCached(cache, this.layer_idx, q, k, v, options) : attention(q, k, v, options);
    return this.o_proj.call(out.reshape([batch, tokens, heads * head_dim]));
  }
}

/**
 * Attention with q, k and v in one matrix.
 *
 * No example: it is used as {@linkcode LlamaAttention} is, whose example shows it.
 */
@layer("Phi3Attention")
export class Phi3Attention extends FusedAttention<AttentionConfig> {
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
 * {@linkcode Phi3Attention} in which a token sees a window: itself and the `sliding_window - 1` before it.
 *
 * No example: it is used as {@linkcode LlamaAttention} is, whose example shows it.
 */
@layer("Phi3SlidingWindowAttention")
export class Phi3SlidingWindowAttention extends FusedAttention<WindowConfig> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   */
  constructor(config: WindowConfig, layer_idx: number) {
    checkFields("new Phi3SlidingWindowAttention(): config", config, { sliding_window: "a count" });
    super(config, layer_idx, config.sliding_window);
  }
}

/**
 * A gated MLP with gate and up in one matrix.
 *
 * No example: it is used as {@linkcode LlamaMLP} is, whose example shows it.
 */
@layer("Phi3MLP")
export class Phi3MLP extends Module {
  /** The rows of gate and of up: `[2 · intermediate_size, hidden_size]`. */
  gate_up_proj: Linear;
  /** `[hidden_size, intermediate_size]`. */
  down_proj: Linear;
  /** `(gate, up) → act(gate) · up`. */
  activation_fn: GatedActivation;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param hidden_act The activation's name as in config.json.
   */
  constructor(
    readonly hidden_size: number,
    readonly intermediate_size: number,
    readonly hidden_act = "silu",
  ) {
    super();
    checkArgument("new Phi3MLP(): hidden_size", hidden_size, "a count");
    checkArgument("new Phi3MLP(): intermediate_size", intermediate_size, "a count");
    this.gate_up_proj = new Linear(hidden_size, 2 * intermediate_size, false);
    this.down_proj = new Linear(intermediate_size, hidden_size, false);
    this.activation_fn = gatedActivation(hidden_act);
  }

  /** `[..., hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor): Tensor {
    const both = this.gate_up_proj.call(hidden_states);
    const width = this.intermediate_size;
    const [gate, up] = [slice(both, -1, 0, width), slice(both, -1, width, 2 * width)];
    return this.down_proj.call(this.activation_fn.call(gate, up));
  }
}

/**
 * A decoder layer of {@linkcode Phi3Attention} and {@linkcode Phi3MLP}.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("Phi3DecoderLayer")
export class Phi3DecoderLayer extends GatedDecoderLayer<Phi3Attention, Phi3MLP> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   */
  constructor(config: DecoderConfig, layer_idx: number) {
    super(config, new Phi3Attention(attentionConfig(config), layer_idx), mlp(config));
  }
}

/**
 * {@linkcode Phi3DecoderLayer} in which a token sees a window.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("Phi3SlidingWindowDecoderLayer")
export class Phi3SlidingWindowDecoderLayer extends GatedDecoderLayer<Phi3SlidingWindowAttention, Phi3MLP> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   * @param sliding_window How many positions a token sees.
   */
  constructor(config: DecoderConfig, layer_idx: number, sliding_window: number) {
    const attention = new Phi3SlidingWindowAttention(
      { ...attentionConfig(config), sliding_window },
      layer_idx,
    );
    super(config, attention, mlp(config));
  }
}

function mlp({ hidden_size, intermediate_size, hidden_act }: DecoderConfig): Phi3MLP {
  return new Phi3MLP(hidden_size, intermediate_size, hidden_act);
}
