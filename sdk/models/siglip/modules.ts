import { checkArgument } from "../../arguments.ts";
import {
  type Activation,
  activation,
  Conv2d,
  Embedding,
  layer,
  LayerNorm,
  Linear,
  Module,
  ModuleList,
} from "../../nn/mod.ts";
import { add, concat, linear, mean, slice } from "../../ops/mod.ts";
import { raise } from "../../errors.ts";
import { type Parameter, parameter, type Tensor } from "../../tensor/mod.ts";
import { checkVisionConfig, type VisionConfig } from "../vision/config.ts";
import { attendAll, patchesInRows, VisionModel } from "../vision/model.ts";

/**
 * Patches and their positions.
 *
 * No example: {@linkcode SiglipVisionModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
export class SiglipVisionEmbeddings extends Module {
  /** `[hidden_size, num_channels, rows, columns]`, with a stride of one patch. */
  patch_embedding: Conv2d;
  /** A row for each patch. */
  position_embedding: Embedding;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: VisionConfig) {
    super();
    checkVisionConfig("SiglipVisionEmbeddings", config);
    const { num_channels, hidden_size, image_size, patch_size } = config;
    const patches = Math.floor(image_size[0] / patch_size[0]) * Math.floor(image_size[1] / patch_size[1]);
    this.patch_embedding = new Conv2d(num_channels, hidden_size, patch_size, { stride: patch_size });
    this.position_embedding = new Embedding(patches, hidden_size);
  }

  /** `[batch, num_channels, rows, columns]` → `[batch, patches, hidden_size]`. */
  override forward(pixel_values: Tensor): Tensor {
    // Every position is there once and in order: the rows are the weight itself.
    return add(patchesInRows(this.patch_embedding.call(pixel_values)), this.position_embedding.weight);
  }
}

/**
 * Attention in which every patch sees every other.
 *
 * No example: {@linkcode SiglipVisionModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
@layer("SiglipAttention")
export class SiglipAttention extends Module {
  /** `[hidden_size, hidden_size]`. */
  q_proj: Linear;
  /** `[hidden_size, hidden_size]`. */
  k_proj: Linear;
  /** `[hidden_size, hidden_size]`. */
  v_proj: Linear;
  /** `[hidden_size, hidden_size]`. */
  out_proj: Linear;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly hidden_size: number, readonly num_attention_heads: number) {
    super();
    this.q_proj = new Linear(hidden_size, hidden_size);
    this.k_proj = new Linear(hidden_size, hidden_size);
    this.v_proj = new Linear(hidden_size, hidden_size);
    this.out_proj = new Linear(hidden_size, hidden_size);
  }

  /** `[batch, patches, hidden_size]` → the same shape. */
  override forward(x: Tensor): Tensor {
    const [q, k, v] = [this.q_proj.call(x), this.k_proj.call(x), this.v_proj.call(x)];
    return this.out_proj.call(attendAll(q, k, v, this.num_attention_heads));
  }
}

/**
 * `fc2(act(fc1(x)))`.
 *
 * No example: {@linkcode SiglipVisionModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
@layer("SiglipMLP")
export class SiglipMLP extends Module {
  /** `[intermediate_size, hidden_size]`. */
  fc1: Linear;
  /** `[hidden_size, intermediate_size]`. */
  fc2: Linear;
  /** Between the two. */
  activation_fn: Activation;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param hidden_act The activation's name as in config.json.
   */
  constructor(hidden_size: number, intermediate_size: number, hidden_act = "gelu_pytorch_tanh") {
    super();
    this.fc1 = new Linear(hidden_size, intermediate_size);
    this.fc2 = new Linear(intermediate_size, hidden_size);
    this.activation_fn = activation(hidden_act);
  }

  /** `[..., hidden_size]` → the same shape. */
  override forward(x: Tensor): Tensor {
    return this.fc2.call(this.activation_fn.call(this.fc1.call(x)));
  }
}

/**
 * Attention and an MLP, each behind a norm and a residual.
 *
 * No example: {@linkcode SiglipVisionModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
@layer("SiglipEncoderLayer")
export class SiglipEncoderLayer extends Module {
  /** Before attention. */
  layer_norm1: LayerNorm;
  /** Attention. */
  self_attn: SiglipAttention;
  /** Before the MLP. */
  layer_norm2: LayerNorm;
  /** The MLP. */
  mlp: SiglipMLP;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: VisionConfig) {
    super();
    checkVisionConfig("SiglipEncoderLayer", config);
    const { hidden_size, layer_norm_eps } = config;
    this.layer_norm1 = new LayerNorm(hidden_size, layer_norm_eps);
    this.self_attn = new SiglipAttention(hidden_size, config.num_attention_heads);
    this.layer_norm2 = new LayerNorm(hidden_size, layer_norm_eps);
    this.mlp = new SiglipMLP(hidden_size, config.intermediate_size, config.hidden_act);
  }

  /** `[batch, patches, hidden_size]` → the same shape. */
  override forward(x: Tensor): Tensor {
    const residual = add(x, this.self_attn.call(this.layer_norm1.call(x)));
    return add(residual, this.mlp.call(this.layer_norm2.call(residual)));
  }
}

/**
 * The layers.
 *
 * No example: {@linkcode SiglipVisionModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
export class SiglipEncoder extends Module {
  /** The layers. */
  layers: ModuleList<SiglipEncoderLayer>;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: VisionConfig) {
    super();
    checkVisionConfig("SiglipEncoder", config);
    this.layers = new ModuleList(
      Array.from({ length: config.num_hidden_layers }, () => new SiglipEncoderLayer(config)),
    );
  }

  /** `[batch, patches, hidden_size]` → the same shape. */
  override forward(x: Tensor): Tensor {
    for (const each of this.layers) x = each.call(x);
    return x;
  }
}

/**
 * PyTorch's MultiheadAttention: one weight for q, k and v.
 *
 * No example: {@linkcode SiglipVisionModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
@layer("SiglipPoolingAttention")
export class SiglipPoolingAttention extends Module {
  /** `[3 · hidden_size, hidden_size]`: q, k and v, one below the other. */
  in_proj_weight: Parameter;
  /** `[3 · hidden_size]`. */
  in_proj_bias: Parameter;
  /** `[hidden_size, hidden_size]`. */
  out_proj: Linear;

  /** Builds the module; its parameters are on the meta device. */
  constructor(readonly hidden_size: number, readonly num_attention_heads: number) {
    super();
    checkArgument("new SiglipPoolingAttention(): hidden_size", hidden_size, "a count");
    this.in_proj_weight = parameter([3 * hidden_size, hidden_size]);
    this.in_proj_bias = parameter([3 * hidden_size]);
    this.out_proj = new Linear(hidden_size, hidden_size);
  }

  /** Queries `[batch, queries, hidden_size]`, keys `[batch, keys, hidden_size]` → the queries' shape. */
  override forward(queries: Tensor, keys: Tensor): Tensor {
    const n = this.hidden_size;
    const project = (x: Tensor, i: number) =>
      linear(
        x,
        slice(this.in_proj_weight, 0, i * n, (i + 1) * n),
        slice(this.in_proj_bias, 0, i * n, (i + 1) * n),
      );
    const attended = attendAll(
      project(queries, 0),
      project(keys, 1),
      project(keys, 2),
      this.num_attention_heads,
    );
    return this.out_proj.call(attended);
  }
}

/**
 * Pools the patches: a learned query attends to all of them, and an MLP follows (Zhai et al. 2022).
 *
 * No example: {@linkcode SiglipVisionModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
@layer("SiglipMultiheadAttentionPoolingHead")
export class SiglipMultiheadAttentionPoolingHead extends Module {
  /** `[1, 1, hidden_size]`: the query. */
  probe: Parameter;
  /** The query's attention. */
  attention: SiglipPoolingAttention;
  /** Before the MLP. */
  layernorm: LayerNorm;
  /** The MLP. */
  mlp: SiglipMLP;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: VisionConfig) {
    super();
    checkVisionConfig("SiglipMultiheadAttentionPoolingHead", config);
    const { hidden_size, layer_norm_eps } = config;
    this.probe = parameter([1, 1, hidden_size]);
    this.attention = new SiglipPoolingAttention(hidden_size, config.num_attention_heads);
    this.layernorm = new LayerNorm(hidden_size, layer_norm_eps);
    this.mlp = new SiglipMLP(hidden_size, config.intermediate_size, config.hidden_act);
  }

  /** `[batch, patches, hidden_size]` → `[batch, hidden_size]`. */
  override forward(x: Tensor): Tensor {
    const [batch, , width] = x.shape;
    const probes = concat(Array<Tensor>(batch).fill(this.probe), 0);
    const pooled = this.attention.call(probes, x);
    return add(pooled, this.mlp.call(this.layernorm.call(pooled))).reshape([batch, width]);
  }
}

/**
 * The tower: embeddings, layers, the last norm, the head that pools.
 *
 * No example: {@linkcode SiglipVisionModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
export class SiglipVisionTower extends Module {
  /** Patches and positions. */
  embeddings: SiglipVisionEmbeddings;
  /** The layers. */
  encoder: SiglipEncoder;
  /** The last norm. */
  post_layernorm: LayerNorm;
  /** What pools the patches, unless `vision_use_head` is false. */
  head?: SiglipMultiheadAttentionPoolingHead;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: VisionConfig) {
    super();
    checkVisionConfig("SiglipVisionTower", config);
    this.embeddings = new SiglipVisionEmbeddings(config);
    this.encoder = new SiglipEncoder(config);
    this.post_layernorm = new LayerNorm(config.hidden_size, config.layer_norm_eps);
    if (config.vision_use_head) this.head = new SiglipMultiheadAttentionPoolingHead(config);
  }

  /** Pixels `[batch, num_channels, rows, columns]` → `[batch, patches, hidden_size]`. */
  override forward(pixel_values: Tensor): Tensor {
    return this.post_layernorm.call(this.encoder.call(this.embeddings.call(pixel_values)));
  }
}

/**
 * SigLIP's vision tower (Zhai et al. 2023), with a classifier where the checkpoint has one.
 *
 * No example: {@linkcode AutoModelForImageEmbedding} loads it, whose example shows how.
 */
export class SiglipVisionModel extends VisionModel {
  /** The tower. */
  vision_model: SiglipVisionTower;

  /** Builds the module; its parameters are on the meta device. */
  constructor(override readonly config: VisionConfig) {
    super();
    checkVisionConfig("SiglipVisionModel", config);
    this.vision_model = new SiglipVisionTower(config);
    this.classifier = new Linear(config.hidden_size, config.labels.length);
    for (const [path, p] of this.namedParameters()) p.name ??= path; // as errors call them
  }

  /** Pixels → hidden states `[batch, patches, hidden_size]`. */
  override hidden(pixel_values: Tensor): Tensor {
    return this.vision_model.call(pixel_values);
  }

  /** What the head pools. @throws KW-CONFIG-VALUE where the model has no head. */
  override embed(hidden_states: Tensor): Tensor {
    const { head } = this.vision_model;
    if (head) return head.call(hidden_states);
    raise(
      "KW-CONFIG-VALUE",
      "Cannot embed an image: the model has no head that pools its patches",
      "Take the patches from hidden(), and pool them as the model was trained to.",
      { json: "vision_use_head" },
    );
  }

  /** Whether there is a head. */
  protected override get embeds(): boolean {
    return this.vision_model.head !== undefined;
  }

  /** The mean of the patches. */
  protected override classified(hidden_states: Tensor): Tensor {
    return mean(hidden_states, 1);
  }

  /** The projection of patches. */
  protected override get patches(): Conv2d {
    return this.vision_model.embeddings.patch_embedding;
  }
}
