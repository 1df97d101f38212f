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
import { add, attention } from "../../ops/mod.ts";
import type { Tensor } from "../../tensor/mod.ts";
import { type EncoderConfig, type EncoderContext, type EncoderInputs, EncoderModel } from "../encoder.ts";
import { countTo } from "../encoder_positions.ts";

/** A DistilBERT's config.json, checked and completed; what the file calls `dim` is `hidden_size` too. */
export interface DistilBertConfig extends EncoderConfig {
  /** The MLP's width. */
  readonly hidden_dim: number;
  /** Layers. */
  readonly n_layers: number;
  /** Heads. */
  readonly n_heads: number;
  /** The MLP's activation. */
  readonly activation: string;
}

/** The norms' epsilon, which no config says. */
const EPS = 1e-12;

/**
 * The sum of a word's and a position's row, behind a norm.
 *
 * No example: {@linkcode DistilBertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("DistilBertEmbeddings")
export class DistilBertEmbeddings extends Module {
  /** A row for each id. */
  word_embeddings: Embedding;
  /** A row for each position. */
  position_embeddings: Embedding;
  /** Behind the sum. */
  LayerNorm: LayerNorm;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly config: DistilBertConfig) {
    super();
    checkArgument("new DistilBertEmbeddings(): config", config, "an object");
    this.word_embeddings = new Embedding(config.vocab_size, config.hidden_size);
    this.position_embeddings = new Embedding(config.max_position_embeddings, config.hidden_size);
    this.LayerNorm = new LayerNorm(config.hidden_size, EPS);
  }

  /** Ids `[batch, tokens]` → `[batch, tokens, hidden_size]`. */
  override forward(input_ids: Tensor): Tensor {
    const positions = countTo(input_ids.shape[1], input_ids.device);
    const words = this.word_embeddings.call(input_ids);
    return this.LayerNorm.call(add(words, this.position_embeddings.call(positions)));
  }
}

/**
 * Attention that sees all of the text.
 *
 * No example: {@linkcode DistilBertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("DistilBertAttention")
export class DistilBertAttention extends Module {
  /** `[dim, dim]`. */
  q_lin: Linear;
  /** `[dim, dim]`. */
  k_lin: Linear;
  /** `[dim, dim]`. */
  v_lin: Linear;
  /** `[dim, dim]`. */
  out_lin: Linear;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly dim: number, readonly n_heads: number) {
    super();
    this.q_lin = new Linear(dim, dim);
    this.k_lin = new Linear(dim, dim);
    this.v_lin = new Linear(dim, dim);
    this.out_lin = new Linear(dim, dim);
  }

  /** `[batch, tokens, dim]` → the same shape. */
  override forward(hidden_states: Tensor, { position, mask }: EncoderContext): Tensor {
    const [batch, tokens] = hidden_states.shape;
    const shape = [batch, tokens, this.n_heads, this.dim / this.n_heads];
    const [q, k, v] = [this.q_lin, this.k_lin, this.v_lin].map((p) => p.call(hidden_states).reshape(shape));
    const attended = attention(q, k, v, { position, mask, causal: false });
    return this.out_lin.call(attended.reshape(hidden_states.shape));
  }
}

/**
 * The MLP.
 *
 * No example: {@linkcode DistilBertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("DistilBertFFN")
export class DistilBertFFN extends Module {
  /** `[hidden_dim, dim]`. */
  lin1: Linear;
  /** `[dim, hidden_dim]`. */
  lin2: Linear;
  /** The activation. */
  activation: Activation;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly dim: number, readonly hidden_dim: number, act: string) {
    super();
    this.lin1 = new Linear(dim, hidden_dim);
    this.lin2 = new Linear(hidden_dim, dim);
    this.activation = activation(act);
  }

  /** `[..., dim]` → the same shape. */
  override forward(x: Tensor): Tensor {
    return this.lin2.call(this.activation.call(this.lin1.call(x)));
  }
}

/**
 * Attention and an MLP, each with a residual and a norm behind it.
 *
 * No example: {@linkcode DistilBertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("DistilBertLayer")
export class DistilBertLayer extends Module {
  /** Attention. */
  attention: DistilBertAttention;
  /** Behind attention and its residual. */
  sa_layer_norm: LayerNorm;
  /** The MLP. */
  ffn: DistilBertFFN;
  /** Behind the MLP and its residual. */
  output_layer_norm: LayerNorm;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly config: DistilBertConfig) {
    super();
    checkArgument("new DistilBertLayer(): config", config, "an object");
    const { hidden_size: dim } = config;
    this.attention = new DistilBertAttention(dim, config.n_heads);
    this.sa_layer_norm = new LayerNorm(dim, EPS);
    this.ffn = new DistilBertFFN(dim, config.hidden_dim, config.activation);
    this.output_layer_norm = new LayerNorm(dim, EPS);
  }

  /** `[batch, tokens, dim]` → the same shape. */
  override forward(hidden_states: Tensor, context: EncoderContext): Tensor {
    const attended = this.sa_layer_norm.call(add(this.attention.call(hidden_states, context), hidden_states));
    return this.output_layer_norm.call(add(this.ffn.call(attended), attended));
  }
}

/**
 * The stack of layers.
 *
 * No example: {@linkcode DistilBertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
export class DistilBertTransformer extends Module {
  /** The layers. */
  layer: ModuleList<DistilBertLayer>;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: DistilBertConfig) {
    super();
    checkArgument("new DistilBertTransformer(): config", config, "an object");
    this.layer = new ModuleList(Array.from({ length: config.n_layers }, () => new DistilBertLayer(config)));
  }

  /** `[batch, tokens, dim]` → the same shape. */
  override forward(hidden_states: Tensor, context: EncoderContext): Tensor {
    let hidden = hidden_states;
    for (const layer of this.layer) hidden = layer.call(hidden, context);
    return hidden;
  }
}

/**
 * DistilBERT (Sanh et al. 2019): BERT without parts of a text, and without a pooler.
 *
 * No example: {@linkcode AutoModel} loads it, whose example shows how.
 */
export class DistilBertModel extends EncoderModel {
  /** Ids to the first layer's input. */
  embeddings: DistilBertEmbeddings;
  /** The layers. */
  transformer: DistilBertTransformer;

  /** Builds the module; its parameters are on the meta device. */
  constructor(override readonly config: DistilBertConfig) {
    super();
    checkArgument("new DistilBertModel(): config", config, "an object");
    this.embeddings = new DistilBertEmbeddings(config);
    this.transformer = new DistilBertTransformer(config);
    for (const [path, p] of this.namedParameters()) p.name ??= path; // as errors call them
  }

  /** What {@linkcode EncoderModel.forward} runs. */
  protected override encode(input_ids: Tensor, _inputs: EncoderInputs, context: EncoderContext): Tensor {
    return this.transformer.call(this.embeddings.call(input_ids), context);
  }
}
