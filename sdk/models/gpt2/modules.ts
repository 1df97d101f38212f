import { checkArgument } from "../../arguments.ts";
import { raise } from "../../errors.ts";
import { replayWhile } from "../../gpu/mod.ts";
import {
  type Activation,
  activation,
  attendCached,
  type AttentionContext,
  Conv1D,
  Embedding,
  layer,
  LayerNorm,
  Linear,
  Module,
  ModuleList,
} from "../../nn/mod.ts";
import { add, attention, slice, tokenPlaces } from "../../ops/mod.ts";
import { releaseEarly, Tensor } from "../../tensor/mod.ts";
import { CausalLM } from "../causal_lm.ts";
import type { DecoderInputs } from "../decoder.ts";
import type { GPT2Config } from "./config.ts";

export type { GPT2Config };

/**
 * Causal self-attention with q, k and v in one matrix, and no positions of its own.
 *
 * No example: it is used as {@linkcode LlamaAttention} is, whose example shows it.
 */
@layer("GPT2Attention")
export class GPT2Attention extends Module {
  /** The columns of q, of k and of v: `[hidden_size, 3 · hidden_size]`. */
  c_attn: Conv1D;
  /** `[hidden_size, hidden_size]`. */
  c_proj: Conv1D;
  /** What scores are multiplied with. */
  readonly scale: number;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx Which of the cache's layers is this one's.
   */
  constructor(readonly config: GPT2Config, readonly layer_idx: number) {
    super();
    checkArgument("new GPT2Attention(): config", config, "an object");
    const { hidden_size, head_dim, scale_attn_weights, scale_attn_by_inverse_layer_idx } = config;
    this.c_attn = new Conv1D(3 * hidden_size, hidden_size);
    this.c_proj = new Conv1D(hidden_size, hidden_size);
    this.scale = (scale_attn_weights ? 1 / Math.sqrt(head_dim) : 1) /
      (scale_attn_by_inverse_layer_idx ? layer_idx + 1 : 1);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. Writes the cache of its layer, if there is one. */
  override forward(hidden_states: Tensor, context: AttentionContext): Tensor {
    const [batch, tokens, width] = hidden_states.shape;
    const { num_attention_heads: heads, head_dim } = this.config;
    const { position, starts, cache } = context;
    const qkv = this.c_attn.call(hidden_states).reshape([batch, tokens, 3 * heads, head_dim]);
    const [q, k, v] = [0, 1, 2].map((i) => slice(qkv, 2, i * heads, (i + 1) * heads));
    const options = { position, starts, causal: true, scale: this.scale };
    const out = cache ? attendCached(cache, this.layer_idx, q, k, v, options) : attention(q, k, v, options);
    return this.c_proj.call(out.reshape([batch, tokens, width]));
  }
}

/**
 * The feed-forward block of GPT-2, without a gate: `c_proj(act(c_fc(x)))`.
 *
 * No example: it is used as {@linkcode LlamaMLP} is, whose example shows it.
 */
@layer("GPT2MLP")
export class GPT2MLP extends Module {
  /** `[hidden_size, intermediate_size]`. */
  c_fc: Conv1D;
  /** `[intermediate_size, hidden_size]`. */
  c_proj: Conv1D;
  /** The activation. */
  act: Activation;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param activation_function The activation's name as in config.json.
   */
  constructor(
    readonly hidden_size: number,
    readonly intermediate_size: number,
    readonly activation_function = "gelu_new",
  ) {
    super();
    this.c_fc = new Conv1D(intermediate_size, hidden_size);
    this.c_proj = new Conv1D(hidden_size, intermediate_size);
    this.act = activation(activation_function);
  }

  /** `[..., hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor): Tensor {
    return this.c_proj.call(this.act.call(this.c_fc.call(hidden_states)));
  }
}

/**
 * Attention and an MLP, each behind a norm and a residual.
 *
 * No example: it is used as {@linkcode LlamaDecoderLayer} is, and the example of {@linkcode DecoderModel} shows that.
 */
@layer("GPT2Block")
export class GPT2Block extends Module {
  /** Before attention. */
  ln_1: LayerNorm;
  /** Attention. */
  attn: GPT2Attention;
  /** Before the MLP. */
  ln_2: LayerNorm;
  /** The MLP. */
  mlp: GPT2MLP;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param layer_idx The layer's place, which is also its place in the cache.
   */
  constructor(config: GPT2Config, layer_idx: number) {
    super();
    checkArgument("new GPT2Block(): config", config, "an object");
    const { hidden_size, n_inner, layer_norm_epsilon, activation_function } = config;
    this.ln_1 = new LayerNorm(hidden_size, layer_norm_epsilon);
    this.attn = new GPT2Attention(config, layer_idx);
    this.ln_2 = new LayerNorm(hidden_size, layer_norm_epsilon);
    this.mlp = new GPT2MLP(hidden_size, n_inner, activation_function);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor, context: AttentionContext): Tensor {
    const residual = add(hidden_states, this.attn.call(this.ln_1.call(hidden_states), context));
    return add(residual, this.mlp.call(this.ln_2.call(residual)));
  }
}

/**
 * Embeddings of tokens and of positions, the blocks, and the last norm.
 *
 * No example: it is used as {@linkcode DecoderModel} is, whose example shows it.
 */
export class GPT2Model extends Module {
  /** Embeddings of tokens. */
  wte: Embedding;
  /** Embeddings of positions. */
  wpe: Embedding;
  /** The blocks. */
  h: ModuleList<GPT2Block>;
  /** The last norm. */
  ln_f: LayerNorm;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: GPT2Config) {
    super();
    checkArgument("new GPT2Model(): config", config, "an object");
    this.wte = new Embedding(config.vocab_size, config.hidden_size);
    this.wpe = new Embedding(config.max_position_embeddings, config.hidden_size);
    this.h = new ModuleList(
      Array.from({ length: config.num_hidden_layers }, (_, i) => new GPT2Block(config, i)),
    );
    this.ln_f = new LayerNorm(config.hidden_size, config.layer_norm_epsilon);
  }

  /**
   * Ids `[batch, tokens]` → hidden states `[batch, tokens, hidden_size]` after the last norm.
   *
   * @throws KW-TENSOR-SHAPE where there are more tokens, with those in the cache, than learned positions.
   */
  override forward(input_ids: Tensor, inputs: DecoderInputs = {}): Tensor {
    const { cache, starts } = inputs;
    const [batch, tokens] = input_ids.shape;
    const length = () => (cache?.length ?? 0) + tokens;
    const most = this.wpe.num_embeddings;
    if (length() > most) {
      raise(
        "KW-TENSOR-SHAPE",
        `Cannot run the model on ${length()} tokens: it has learned ${most} positions`,
        "Give a shorter text, or begin with an empty cache.",
      );
    }
    if (cache) replayWhile(() => length() <= most);
    const position = cache?.position ?? Tensor.zeros([1], { dtype: "i32", device: input_ids.device });
    const places = tokenPlaces(position, starts, batch, tokens);
    let hidden = add(this.wte.call(input_ids), this.wpe.call(places));
    const context: AttentionContext = { position, starts, cache, length: length() };
    for (const block of this.h) {
      const next = block.call(hidden, context);
      // With many layers, what they hand on would be most of a run's memory.
      if (next !== hidden) releaseEarly(hidden);
      hidden = next;
    }
    return this.ln_f.call(hidden);
  }
}

/**
 * GPT-2 with its language-model head.
 *
 * No example: it is used as {@linkcode DecoderLM} is, whose example shows it.
 */
export class GPT2LM extends CausalLM {
  /** The model without its head. */
  transformer: GPT2Model;
  /** The head. Unless the config says otherwise, its weight is the embedding's. */
  lm_head: Linear;
  /** Where the embedding of tokens is. */
  protected override readonly embedding = "transformer.wte";

  /** Builds the module; its parameters are on the meta device. */
  constructor(override readonly config: GPT2Config) {
    super();
    this.transformer = new GPT2Model(config);
    this.lm_head = new Linear(config.hidden_size, config.vocab_size, false);
    if (config.tie_word_embeddings) this.lm_head.weight = this.transformer.wte.weight;
    for (const [path, p] of this.namedParameters()) p.name ??= path; // as errors call them
  }

  /** Ids `[batch, tokens]` → hidden states `[batch, tokens, hidden_size]` after the last norm. */
  override decode(input_ids: Tensor, inputs: DecoderInputs): Tensor {
    return this.transformer.call(input_ids, inputs);
  }

  /** Hidden states `[batch, tokens, hidden_size]` → logits `[batch, tokens, vocab_size]`. */
  override logits(hidden_states: Tensor): Tensor {
    return this.lm_head.call(hidden_states);
  }
}
