import { checkArgument, checkFields } from "../../arguments.ts";
import {
  Embedding,
  type GatedActivation,
  gatedActivation,
  Identity,
  layer,
  LayerNorm,
  Linear,
  Module,
  ModuleList,
  type Rope,
} from "../../nn/mod.ts";
import { add, attention, rope, slice } from "../../ops/mod.ts";
import type { Tensor } from "../../tensor/mod.ts";
import { type EncoderConfig, type EncoderContext, type EncoderInputs, EncoderModel } from "../encoder.ts";

/** A ModernBERT's config.json, checked and completed. The names are those of the file. */
export interface ModernBertConfig extends EncoderConfig {
  /** The MLP's width. */
  readonly intermediate_size: number;
  /** Layers. */
  readonly num_hidden_layers: number;
  /** Heads. */
  readonly num_attention_heads: number;
  /** The activation of the MLP's gate. */
  readonly hidden_activation: string;
  /** The norms' epsilon. */
  readonly norm_eps: number;
  /** Whether norms have biases. */
  readonly norm_bias: boolean;
  /** Whether attention's projections have biases. */
  readonly attention_bias: boolean;
  /** Whether the MLP's projections have biases. */
  readonly mlp_bias: boolean;
  /** How positions turn the heads, layer by layer. */
  readonly ropes: readonly Rope[];
  /** How many positions a token sees to each side, layer by layer; undefined where it sees all. */
  readonly reaches: readonly (number | undefined)[];
}

/**
 * A word's row, behind a norm.
 *
 * No example: {@linkcode ModernBertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("ModernBertEmbeddings")
export class ModernBertEmbeddings extends Module {
  /** A row for each id. */
  tok_embeddings: Embedding;
  /** Behind it. */
  norm: LayerNorm;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly config: ModernBertConfig) {
    super();
    checkArgument("new ModernBertEmbeddings(): config", config, "an object");
    this.tok_embeddings = new Embedding(config.vocab_size, config.hidden_size);
    this.norm = new LayerNorm(config.hidden_size, config.norm_eps, config.norm_bias);
  }

  /** Ids `[batch, tokens]` → `[batch, tokens, hidden_size]`. */
  override forward(input_ids: Tensor): Tensor {
    return this.norm.call(this.tok_embeddings.call(input_ids));
  }
}

/**
 * Attention with one projection for q, k and v and rotary positions, which sees all of the text or what is near.
 *
 * No example: {@linkcode ModernBertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("ModernBertAttention")
export class ModernBertAttention extends Module {
  /** The rows of q, of k and of v: `[3 · hidden_size, hidden_size]`. */
  Wqkv: Linear;
  /** `[hidden_size, hidden_size]`. */
  Wo: Linear;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param reach How many positions a token sees to each side; all where undefined.
   */
  constructor(readonly config: ModernBertConfig, readonly rope: Rope, readonly reach: number | undefined) {
    super();
    checkArgument("new ModernBertAttention(): config", config, "an object");
    const { hidden_size, attention_bias } = config;
    this.Wqkv = new Linear(hidden_size, 3 * hidden_size, attention_bias);
    this.Wo = new Linear(hidden_size, hidden_size, attention_bias);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor, { position, mask }: EncoderContext): Tensor {
    const [batch, tokens, width] = hidden_states.shape;
    const { num_attention_heads: heads } = this.config;
    const all = this.Wqkv.call(hidden_states);
    const [q, k, v] = [0, 1, 2].map((i) =>
      slice(all, 2, i * width, (i + 1) * width).reshape([batch, tokens, heads, width / heads])
    );
    const turning = { frequencies: this.rope.frequencies(tokens), factor: this.rope.factor };
    const attended = attention(rope(q, position, turning), rope(k, position, turning), v, {
      position,
      mask,
      causal: false,
      before: this.reach,
      after: this.reach,
    });
    return this.Wo.call(attended.reshape(hidden_states.shape));
  }
}

/**
 * A gated MLP whose two inner projections are one (GeGLU, Shazeer 2020).
 *
 * No example: {@linkcode ModernBertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("ModernBertMLP")
export class ModernBertMLP extends Module {
  /** The rows of the gate and of what it is multiplied with: `[2 · intermediate_size, hidden_size]`. */
  Wi: Linear;
  /** `[hidden_size, intermediate_size]`. */
  Wo: Linear;
  /** `(gate, up) → act(gate) · up`. */
  act: GatedActivation;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly config: ModernBertConfig) {
    super();
    checkArgument("new ModernBertMLP(): config", config, "an object");
    const { hidden_size, intermediate_size, hidden_activation, mlp_bias } = config;
    this.Wi = new Linear(hidden_size, 2 * intermediate_size, mlp_bias);
    this.Wo = new Linear(intermediate_size, hidden_size, mlp_bias);
    this.act = gatedActivation(hidden_activation);
  }

  /** `[..., hidden_size]` → the same shape. */
  override forward(x: Tensor): Tensor {
    const both = this.Wi.call(x);
    const { intermediate_size: half } = this.config;
    return this.Wo.call(this.act.call(slice(both, -1, 0, half), slice(both, -1, half, 2 * half)));
  }
}

/**
 * Attention and an MLP, each behind a norm and with a residual.
 *
 * No example: {@linkcode ModernBertModel} builds it, and {@linkcode AutoModel} loads that; its example shows how.
 */
@layer("ModernBertLayer")
export class ModernBertLayer extends Module {
  /** Before attention; in the first layer nothing, since the embeddings end with a norm. */
  attn_norm: LayerNorm | Identity;
  /** Attention. */
  attn: ModernBertAttention;
  /** Before the MLP. */
  mlp_norm: LayerNorm;
  /** The MLP. */
  mlp: ModernBertMLP;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly config: ModernBertConfig, readonly index: number) {
    super();
    checkArgument("new ModernBertLayer(): config", config, "an object");
    checkFields("new ModernBertLayer(): config", config, { ropes: "an array", reaches: "an array" });
    const norm = () => new LayerNorm(config.hidden_size, config.norm_eps, config.norm_bias);
    this.attn_norm = index === 0 ? new Identity() : norm();
    this.attn = new ModernBertAttention(config, config.ropes[index], config.reaches[index]);
    this.mlp_norm = norm();
    this.mlp = new ModernBertMLP(config);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor, context: EncoderContext): Tensor {
    const normed = (this.attn_norm as LayerNorm).call(hidden_states);
    const residual = add(hidden_states, this.attn.call(normed, context));
    return add(residual, this.mlp.call(this.mlp_norm.call(residual)));
  }
}

/**
 * ModernBERT (Warner et al. 2024).
 *
 * No example: {@linkcode AutoModel} loads it, whose example shows how.
 */
export class ModernBertModel extends EncoderModel {
  /** Ids to the first layer's input. */
  embeddings: ModernBertEmbeddings;
  /** The layers. */
  layers: ModuleList<ModernBertLayer>;
  /** The last norm. */
  final_norm: LayerNorm;

  /** Builds the module; its parameters are on the meta device. */
  constructor(override readonly config: ModernBertConfig) {
    super();
    checkArgument("new ModernBertModel(): config", config, "an object");
    const { num_hidden_layers, hidden_size, norm_eps, norm_bias } = config;
    this.embeddings = new ModernBertEmbeddings(config);
    this.layers = new ModuleList(
      Array.from({ length: num_hidden_layers }, (_, i) => new ModernBertLayer(config, i)),
    );
    this.final_norm = new LayerNorm(hidden_size, norm_eps, norm_bias);
    for (const [path, p] of this.namedParameters()) p.name ??= path; // as errors call them
  }

  /** What {@linkcode EncoderModel.forward} runs. */
  protected override encode(input_ids: Tensor, _inputs: EncoderInputs, context: EncoderContext): Tensor {
    let hidden = this.embeddings.call(input_ids);
    for (const layer of this.layers) hidden = layer.call(hidden, context);
    return this.final_norm.call(hidden);
  }
}
