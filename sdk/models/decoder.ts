import { checkArgument } from "../arguments.ts";
import {
  type AttentionContext,
  Embedding,
  type KVCache,
  layer,
  LlamaAttention,
  LlamaMLP,
  Module,
  ModuleList,
  RMSNorm,
  SlidingWindowAttention,
} from "../nn/mod.ts";
import { replayWhile } from "../gpu/mod.ts";
import { add } from "../ops/mod.ts";
import { releaseEarly, Tensor } from "../tensor/mod.ts";
import type { DecoderConfig } from "./config.ts";

/** A part of a decoder layer that attends. */
export type AttentionPart = Module & { forward(hidden_states: Tensor, context: AttentionContext): Tensor };
/** A part of a decoder layer that takes each token by itself. */
export type FeedForwardPart = Module & { forward(hidden_states: Tensor): Tensor };

/**
 * Attention and an MLP, each behind a norm and a residual.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
export abstract class GatedDecoderLayer<A extends AttentionPart, M extends FeedForwardPart = LlamaMLP>
  extends Module {
  /** Attention. */
  self_attn: A;
  /** The MLP, gated; or experts. */
  mlp: M;
  /** Before attention. */
  input_layernorm: RMSNorm;
  /** Before the MLP. */
  post_attention_layernorm: RMSNorm;

  /** Builds the norms around the parts; parameters are on the meta device. */
  constructor(config: DecoderConfig, self_attn: A, mlp: M) {
    super();
    checkArgument("new GatedDecoderLayer(): config", config, "an object");
    this.self_attn = self_attn;
    this.mlp = mlp;
    this.input_layernorm = new RMSNorm(config.hidden_size, config.rms_norm_eps);
    this.post_attention_layernorm = new RMSNorm(config.hidden_size, config.rms_norm_eps);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor, context: AttentionContext): Tensor {
    const normed = this.input_layernorm.call(hidden_states);
    const [attend, feed]: [AttentionPart, FeedForwardPart] = [this.self_attn, this.mlp];
    const attended = attend.call(normed, context);
    const residual = add(hidden_states, attended);
    releaseEarly(normed, attended);
    return add(residual, feed.call(this.post_attention_layernorm.call(residual)));
  }
}

/**
 * One decoder layer that sees everything: attention and MLP, each behind a norm and a residual.
 *
 * See the example of {@linkcode DecoderModel}.
 */
@layer("LlamaDecoderLayer")
export class LlamaDecoderLayer extends GatedDecoderLayer<LlamaAttention> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   */
  constructor(config: DecoderConfig, layer_idx: number) {
    super(config, new LlamaAttention(attentionConfig(config), layer_idx), gatedMLP(config));
  }
}

/** {@linkcode LlamaDecoderLayer} in which a token sees a window. */
@layer("SlidingWindowDecoderLayer")
export class SlidingWindowDecoderLayer extends GatedDecoderLayer<SlidingWindowAttention> {
  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   * @param sliding_window How many positions a token sees.
   */
  constructor(config: DecoderConfig, layer_idx: number, sliding_window: number) {
    const attention = new SlidingWindowAttention({ ...attentionConfig(config), sliding_window }, layer_idx);
    super(config, attention, gatedMLP(config));
  }
}

/** The layer of an index, windowed where the config says so. */
export function decoderLayer(
  config: DecoderConfig,
  index: number,
): LlamaDecoderLayer | SlidingWindowDecoderLayer {
  const window = config.windows?.[index];
  return window === undefined
    ? new LlamaDecoderLayer(config, index)
    : new SlidingWindowDecoderLayer(config, index, window);
}

/** The attention of an index, windowed where the config says so. */
export function decoderAttention(
  config: DecoderConfig,
  index: number,
): LlamaAttention | SlidingWindowAttention {
  const window = config.windows?.[index];
  return window === undefined
    ? new LlamaAttention(attentionConfig(config), index)
    : new SlidingWindowAttention({ ...attentionConfig(config), sliding_window: window }, index);
}

/** What a decoder's forward takes besides ids. */
export interface DecoderInputs {
  /** Keys and values of the tokens before; this run's are added to it. */
  readonly cache?: KVCache;
  /** i32 `[batch]`: how many padding tokens each row begins with. */
  readonly starts?: Tensor;
}

/**
 * The stack of decoder layers between the embedding and the last norm.
 *
 * @example
 * ```ts
 * import { DecoderModel, LlamaDecoderLayer, parseDecoderConfig } from "@kernelwright/sdk/models";
 * import { Tensor } from "@kernelwright/sdk";
 * import { assertEquals } from "@std/assert";
 *
 * const config = parseDecoderConfig(JSON.parse(Deno.readTextFileSync("./model/config.json")));
 * const decoder = new DecoderModel(config, (index) => new LlamaDecoderLayer(config, index));
 * using ids = Tensor.empty([1, 5], { dtype: "i32", device: "meta" });
 * assertEquals(decoder.call(ids).shape, [1, 5, config.hidden_size]);
 * ```
 */
export class DecoderModel extends Module {
  /** Token embeddings. */
  embed_tokens: Embedding;
  /** The decoder layers. */
  layers: ModuleList<Module & { forward(hidden_states: Tensor, context: AttentionContext): Tensor }>;
  /** The last norm. */
  norm: Module & { forward(hidden_states: Tensor): Tensor };
  readonly #config: DecoderConfig;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param makeLayer Builds the layer of an index.
   * @param norm The last norm; defaults to RMSNorm.
   */
  constructor(
    config: DecoderConfig,
    makeLayer: (index: number) => Module & { forward(h: Tensor, c: AttentionContext): Tensor },
    norm?: Module & { forward(hidden_states: Tensor): Tensor },
  ) {
    super();
    checkArgument("new DecoderModel(): config", config, "an object");
    checkArgument("new DecoderModel(): makeLayer", makeLayer, "a function");
    this.#config = config;
    this.embed_tokens = new Embedding(config.vocab_size, config.hidden_size);
    this.layers = new ModuleList(Array.from({ length: config.num_hidden_layers }, (_, i) => makeLayer(i)));
    this.norm = norm ?? new RMSNorm(config.hidden_size, config.rms_norm_eps);
  }

  /** Ids `[batch, tokens]` → the first layer's input `[batch, tokens, hidden_size]`. */
  protected embed(input_ids: Tensor): Tensor {
    return this.embed_tokens.call(input_ids);
  }

  /** Ids `[batch, tokens]` → hidden states `[batch, tokens, hidden_size]` after the last norm. */
  override forward(input_ids: Tensor, inputs: DecoderInputs = {}): Tensor {
    const { cache, starts } = inputs;
    const position = cache?.position ?? Tensor.zeros([1], { dtype: "i32", device: input_ids.device });
    const [, tokens] = input_ids.shape;
    const length = (cache?.length ?? 0) + tokens;
    const { rope, ropes = [rope] } = this.#config;
    // What is recorded turns by the frequencies of its length.
    for (const r of new Set(ropes)) {
      if (r.varies && cache) replayWhile(() => r.kind(cache.length + tokens) === r.kind(length));
    }
    const context: AttentionContext = { position, starts, cache, length };
    let hidden = this.embed(input_ids);
    for (const decoder of this.layers) {
      const next = decoder.call(hidden, context);
      // With many layers, what they hand on would be most of a run's memory.
      if (next !== hidden) releaseEarly(hidden);
      hidden = next;
    }
    return this.norm.call(hidden);
  }
}

/** Llama's MLP, from a config. */
export function gatedMLP(c: DecoderConfig): LlamaMLP {
  checkArgument("gatedMLP(): c", c, "an object");
  return new LlamaMLP(c.hidden_size, c.intermediate_size, c.hidden_act, c.mlp_bias);
}

/**
 * The numbers of attention, from a config.
 *
 * @example
 * ```ts
 * import { attentionConfig, parseDecoderConfig } from "@kernelwright/sdk/models";
 * import { LlamaAttention } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * const config = parseDecoderConfig(JSON.parse(Deno.readTextFileSync("./model/config.json")));
 * const attention = new LlamaAttention(attentionConfig(config), 0);
 * assertEquals(attention.k_proj.weight.shape, [8, 16]); // one key/value head of 8
 * ```
 */
export function attentionConfig(c: DecoderConfig): LlamaAttention["config"] {
  checkArgument("attentionConfig(): c", c, "an object");
  return {
    hidden_size: c.hidden_size,
    num_attention_heads: c.num_attention_heads,
    num_key_value_heads: c.num_key_value_heads,
    head_dim: c.head_dim,
    rope: c.rope,
    attention_bias: c.attention_bias,
    qkv_bias: c.qkv_bias,
    qk_norm_eps: c.qk_norm ? c.rms_norm_eps : undefined,
  };
}
