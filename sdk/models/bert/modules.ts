import { checkArgument } from "../../arguments.ts";
import {
  type Activation,
  activation,
  Embedding,
  layer,
  LayerNorm,
  Linear,
  Module,
  ModuleList,
} from "../../nn/mod.ts";
import { add, attention, positionIds, slice, tanh } from "../../ops/mod.ts";
import { Tensor } from "../../tensor/mod.ts";
import { type EncoderConfig, type EncoderContext, type EncoderInputs, EncoderModel } from "../encoder.ts";
import { countTo } from "../encoder_positions.ts";

/**
 * A BERT's or RoBERTa's config.json, checked and completed. The names are those of the file; RoBERTa's
 * `max_position_embeddings` is how many tokens it takes, as everywhere, and not how many rows the table has.
 */
export interface BertConfig extends EncoderConfig {
  /** The MLP's width. */
  readonly intermediate_size: number;
  /** Layers. */
  readonly num_hidden_layers: number;
  /** Heads. */
  readonly num_attention_heads: number;
  /** The MLP's activation. */
  readonly hidden_act: string;
  /** The norms' epsilon. */
  readonly layer_norm_eps: number;
  /** Parts that a text may have. */
  readonly type_vocab_size: number;
  /** Rows of the table of positions; more than there are positions where they begin behind the padding id. */
  readonly position_rows: number;
  /** Whether positions are counted over what is not padding, from behind the padding id (RoBERTa). */
  readonly positions_behind_padding: boolean;
}

/**
 * The sum of a word's, a position's and a part's row, behind a norm.
 *
 * No example: {@linkcode BertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("BertEmbeddings")
export class BertEmbeddings extends Module {
  /** A row for each id. */
  word_embeddings: Embedding;
  /** A row for each position. */
  position_embeddings: Embedding;
  /** A row for each part of a text. */
  token_type_embeddings: Embedding;
  /** Behind the sum. */
  LayerNorm: LayerNorm;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly config: BertConfig) {
    super();
    checkArgument("new BertEmbeddings(): config", config, "an object");
    const { hidden_size: width } = config;
    this.word_embeddings = new Embedding(config.vocab_size, width);
    this.position_embeddings = new Embedding(config.position_rows, width);
    this.token_type_embeddings = new Embedding(config.type_vocab_size, width);
    this.LayerNorm = new LayerNorm(width, config.layer_norm_eps);
  }

  /** Ids and parts `[batch, tokens]` → `[batch, tokens, hidden_size]`. */
  override forward(input_ids: Tensor, token_type_ids?: Tensor): Tensor {
    const [, tokens] = input_ids.shape;
    const { device } = input_ids;
    const positions = this.config.positions_behind_padding
      ? positionIds(input_ids, this.config.pad_token_id)
      : countTo(tokens, device);
    const parts = token_type_ids ?? Tensor.zeros([1, 1], { dtype: "i32", device });
    const words = this.word_embeddings.call(input_ids);
    const typed = add(words, this.token_type_embeddings.call(parts));
    return this.LayerNorm.call(add(typed, this.position_embeddings.call(positions)));
  }
}

/**
 * Attention that sees all of the text, without the projection behind it (Devlin et al. 2019).
 *
 * No example: {@linkcode BertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("BertSelfAttention")
export class BertSelfAttention extends Module {
  /** `[hidden_size, hidden_size]`. */
  query: Linear;
  /** `[hidden_size, hidden_size]`. */
  key: Linear;
  /** `[hidden_size, hidden_size]`. */
  value: Linear;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly hidden_size: number, readonly num_attention_heads: number) {
    super();
    this.query = new Linear(hidden_size, hidden_size);
    this.key = new Linear(hidden_size, hidden_size);
    this.value = new Linear(hidden_size, hidden_size);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor, { position, mask }: EncoderContext): Tensor {
    const heads = (x: Tensor) =>
      x.reshape([
        ...x.shape.slice(0, 2),
        this.num_attention_heads,
        this.hidden_size / this.num_attention_heads,
      ]);
    const [q, k, v] = [this.query, this.key, this.value].map((p) => heads(p.call(hidden_states)));
    return attention(q, k, v, { position, mask, causal: false }).reshape(hidden_states.shape);
  }
}

/**
 * A linear map whose result is added to a residual, behind a norm: what follows attention, and ends the MLP.
 *
 * No example: {@linkcode BertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("BertOutput")
export class BertOutput extends Module {
  /** `[hidden_size, in_features]`. */
  dense: Linear;
  /** Behind the sum. */
  LayerNorm: LayerNorm;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly in_features: number, readonly hidden_size: number, readonly eps: number) {
    super();
    this.dense = new Linear(in_features, hidden_size);
    this.LayerNorm = new LayerNorm(hidden_size, eps);
  }

  /** `[..., in_features]` and the residual `[..., hidden_size]` → the latter's shape. */
  override forward(x: Tensor, residual: Tensor): Tensor {
    return this.LayerNorm.call(add(this.dense.call(x), residual));
  }
}

/**
 * Attention with its projection, residual and norm.
 *
 * No example: {@linkcode BertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("BertAttention")
export class BertAttention extends Module {
  /** Attention itself. */
  self: BertSelfAttention;
  /** What follows it. */
  output: BertOutput;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly hidden_size: number, readonly num_attention_heads: number, readonly eps: number) {
    super();
    this.self = new BertSelfAttention(hidden_size, num_attention_heads);
    this.output = new BertOutput(hidden_size, hidden_size, eps);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor, context: EncoderContext): Tensor {
    return this.output.call(this.self.call(hidden_states, context), hidden_states);
  }
}

/**
 * The first half of the MLP.
 *
 * No example: {@linkcode BertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("BertIntermediate")
export class BertIntermediate extends Module {
  /** `[intermediate_size, hidden_size]`. */
  dense: Linear;
  /** The activation. */
  intermediate_act_fn: Activation;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly hidden_size: number, readonly intermediate_size: number, readonly hidden_act: string) {
    super();
    this.dense = new Linear(hidden_size, intermediate_size);
    this.intermediate_act_fn = activation(hidden_act);
  }

  /** `[..., hidden_size]` → `[..., intermediate_size]`. */
  override forward(x: Tensor): Tensor {
    return this.intermediate_act_fn.call(this.dense.call(x));
  }
}

/**
 * Attention and an MLP, each with a residual and a norm behind it.
 *
 * No example: {@linkcode BertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("BertLayer")
export class BertLayer extends Module {
  /** Attention. */
  attention: BertAttention;
  /** The first half of the MLP. */
  intermediate: BertIntermediate;
  /** The second half. */
  output: BertOutput;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly config: BertConfig) {
    super();
    checkArgument("new BertLayer(): config", config, "an object");
    const { hidden_size, num_attention_heads, intermediate_size, hidden_act, layer_norm_eps } = config;
    this.attention = new BertAttention(hidden_size, num_attention_heads, layer_norm_eps);
    this.intermediate = new BertIntermediate(hidden_size, intermediate_size, hidden_act);
    this.output = new BertOutput(intermediate_size, hidden_size, layer_norm_eps);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor, context: EncoderContext): Tensor {
    const attended = this.attention.call(hidden_states, context);
    return this.output.call(this.intermediate.call(attended), attended);
  }
}

/**
 * The stack of layers.
 *
 * No example: {@linkcode BertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
export class BertEncoder extends Module {
  /** The layers. */
  layer: ModuleList<BertLayer>;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: BertConfig) {
    super();
    checkArgument("new BertEncoder(): config", config, "an object");
    this.layer = new ModuleList(
      Array.from({ length: config.num_hidden_layers }, () => new BertLayer(config)),
    );
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor, context: EncoderContext): Tensor {
    let hidden = hidden_states;
    for (const layer of this.layer) hidden = layer.call(hidden, context);
    return hidden;
  }
}

/**
 * What a task's head reads: `tanh` of a linear map of the first token's hidden state.
 *
 * No example: {@linkcode BertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
export class BertPooler extends Module {
  /** `[hidden_size, hidden_size]`. */
  dense: Linear;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly hidden_size: number) {
    super();
    this.dense = new Linear(hidden_size, hidden_size);
  }

  /** The last hidden states `[batch, tokens, hidden_size]` → `[batch, hidden_size]`. */
  override forward(hidden_states: Tensor): Tensor {
    const [batch, , width] = hidden_states.shape;
    return tanh(this.dense.call(slice(hidden_states, 1, 0, 1).reshape([batch, width])));
  }
}

/**
 * BERT (Devlin et al. 2019) and, with other positions, RoBERTa (Liu et al. 2019).
 *
 * No example: {@linkcode AutoModel} loads it, whose example shows how.
 */
export class BertModel extends EncoderModel {
  /** Ids to the first layer's input. */
  embeddings: BertEmbeddings;
  /** The layers. */
  encoder: BertEncoder;
  /** Not a part of {@linkcode EncoderModel.forward}; absent where the checkpoint has none. */
  pooler?: BertPooler;

  /** Builds the module; its parameters are on the meta device. */
  constructor(override readonly config: BertConfig) {
    super();
    checkArgument("new BertModel(): config", config, "an object");
    this.embeddings = new BertEmbeddings(config);
    this.encoder = new BertEncoder(config);
    this.pooler = new BertPooler(config.hidden_size);
    for (const [path, p] of this.namedParameters()) p.name ??= path; // as errors call them
  }

  /** What {@linkcode EncoderModel.forward} runs. */
  protected override encode(input_ids: Tensor, inputs: EncoderInputs, context: EncoderContext): Tensor {
    return this.encoder.call(this.embeddings.call(input_ids, inputs.token_type_ids), context);
  }
}
