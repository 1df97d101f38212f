import {
  type Activation,
  activation,
  Conv2d,
  layer,
  LayerNorm,
  Linear,
  Module,
  ModuleList,
} from "../../nn/mod.ts";
import { add, concat, slice } from "../../ops/mod.ts";
import { type Parameter, parameter, type Tensor } from "../../tensor/mod.ts";
import { checkVisionConfig, type VisionConfig } from "../vision/config.ts";
import { attendAll, patchesInRows, VisionModel } from "../vision/model.ts";

/**
 * Cuts images into patches and projects them.
 *
 * No example: {@linkcode ViTModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
export class ViTPatchEmbeddings extends Module {
  /** `[hidden_size, num_channels, rows, columns]`, with a stride of one patch. */
  projection: Conv2d;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: VisionConfig) {
    super();
    checkVisionConfig("ViTPatchEmbeddings", config);
    const { num_channels, hidden_size, patch_size } = config;
    this.projection = new Conv2d(num_channels, hidden_size, patch_size, { stride: patch_size });
  }

  /** `[batch, num_channels, rows, columns]` → `[batch, patches, hidden_size]`. */
  override forward(pixel_values: Tensor): Tensor {
    return patchesInRows(this.projection.call(pixel_values));
  }
}

/**
 * Patches behind a token for the whole image, with their positions.
 *
 * No example: {@linkcode ViTModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
export class ViTEmbeddings extends Module {
  /** `[1, 1, hidden_size]`: the token that stands for the image. */
  cls_token: Parameter;
  /** `[1, patches + 1, hidden_size]`. */
  position_embeddings: Parameter;
  /** The patches. */
  patch_embeddings: ViTPatchEmbeddings;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: VisionConfig) {
    super();
    checkVisionConfig("ViTEmbeddings", config);
    const { hidden_size, image_size, patch_size } = config;
    const patches = Math.floor(image_size[0] / patch_size[0]) * Math.floor(image_size[1] / patch_size[1]);
    this.cls_token = parameter([1, 1, hidden_size]);
    this.position_embeddings = parameter([1, patches + 1, hidden_size]);
    this.patch_embeddings = new ViTPatchEmbeddings(config);
  }

  /** `[batch, num_channels, rows, columns]` → `[batch, patches + 1, hidden_size]`. */
  override forward(pixel_values: Tensor): Tensor {
    const patches = this.patch_embeddings.call(pixel_values);
    const tokens = concat(Array<Tensor>(patches.shape[0]).fill(this.cls_token), 0);
    return add(concat([tokens, patches], 1), this.position_embeddings);
  }
}

/**
 * Attention in which every patch sees every other.
 *
 * No example: {@linkcode ViTModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
@layer("ViTSelfAttention")
export class ViTSelfAttention extends Module {
  /** `[hidden_size, hidden_size]`. */
  query: Linear;
  /** `[hidden_size, hidden_size]`. */
  key: Linear;
  /** `[hidden_size, hidden_size]`. */
  value: Linear;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param qkv_bias Whether the projections have biases.
   */
  constructor(readonly hidden_size: number, readonly num_attention_heads: number, qkv_bias = true) {
    super();
    this.query = new Linear(hidden_size, hidden_size, qkv_bias);
    this.key = new Linear(hidden_size, hidden_size, qkv_bias);
    this.value = new Linear(hidden_size, hidden_size, qkv_bias);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(x: Tensor): Tensor {
    return attendAll(this.query.call(x), this.key.call(x), this.value.call(x), this.num_attention_heads);
  }
}

/**
 * A linear map under the name `dense`, with an activation behind it where there is one.
 *
 * No example: {@linkcode ViTModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
export class ViTDense extends Module {
  /** `[outputs, inputs]`. */
  dense: Linear;
  /** What follows. */
  activation?: Activation;

  /** Builds the module; its parameters are on the meta device. */
  constructor(inputs: number, outputs: number, act?: string) {
    super();
    this.dense = new Linear(inputs, outputs);
    if (act !== undefined) this.activation = activation(act);
  }

  /** `[..., inputs]` → `[..., outputs]`. */
  override forward(x: Tensor): Tensor {
    const y = this.dense.call(x);
    return this.activation ? this.activation.call(y) : y;
  }
}

/**
 * Attention and its output projection.
 *
 * No example: {@linkcode ViTModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
@layer("ViTAttention")
export class ViTAttention extends Module {
  /** Attention. */
  attention: ViTSelfAttention;
  /** `[hidden_size, hidden_size]`. */
  output: ViTDense;

  /** Builds the module; its parameters are on the meta device. */
  constructor(hidden_size: number, num_attention_heads: number, qkv_bias = true) {
    super();
    this.attention = new ViTSelfAttention(hidden_size, num_attention_heads, qkv_bias);
    this.output = new ViTDense(hidden_size, hidden_size);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(x: Tensor): Tensor {
    return this.output.call(this.attention.call(x));
  }
}

/**
 * Attention and an MLP, each behind a norm and a residual (Dosovitskiy et al. 2021).
 *
 * No example: {@linkcode ViTModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
@layer("ViTLayer")
export class ViTLayer extends Module {
  /** Attention. */
  attention: ViTAttention;
  /** The MLP's first half. */
  intermediate: ViTDense;
  /** The MLP's second half. */
  output: ViTDense;
  /** Before attention. */
  layernorm_before: LayerNorm;
  /** Before the MLP. */
  layernorm_after: LayerNorm;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: VisionConfig) {
    super();
    checkVisionConfig("ViTLayer", config);
    const { hidden_size, intermediate_size, layer_norm_eps } = config;
    this.attention = new ViTAttention(hidden_size, config.num_attention_heads, config.qkv_bias);
    this.intermediate = new ViTDense(hidden_size, intermediate_size, config.hidden_act);
    this.output = new ViTDense(intermediate_size, hidden_size);
    this.layernorm_before = new LayerNorm(hidden_size, layer_norm_eps);
    this.layernorm_after = new LayerNorm(hidden_size, layer_norm_eps);
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(x: Tensor): Tensor {
    const residual = add(x, this.attention.call(this.layernorm_before.call(x)));
    return add(residual, this.output.call(this.intermediate.call(this.layernorm_after.call(residual))));
  }
}

/**
 * The layers.
 *
 * No example: {@linkcode ViTModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
export class ViTEncoder extends Module {
  /** The layers. */
  layer: ModuleList<ViTLayer>;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: VisionConfig) {
    super();
    checkVisionConfig("ViTEncoder", config);
    this.layer = new ModuleList(Array.from({ length: config.num_hidden_layers }, () => new ViTLayer(config)));
  }

  /** `[batch, tokens, hidden_size]` → the same shape. */
  override forward(x: Tensor): Tensor {
    for (const each of this.layer) x = each.call(x);
    return x;
  }
}

/**
 * The tower: embeddings, layers, the last norm.
 *
 * No example: {@linkcode ViTModel} builds it, and {@linkcode AutoModelForImageEmbedding} loads that; its example shows how.
 */
export class ViTTower extends Module {
  /** Patches, the image's token and positions. */
  embeddings: ViTEmbeddings;
  /** The layers. */
  encoder: ViTEncoder;
  /** The last norm. */
  layernorm: LayerNorm;
  /** What makes an embedding of the image's token, where the checkpoint has it: `[pooler_output_size, hidden_size]`. */
  pooler?: ViTDense;

  /** Builds the module; its parameters are on the meta device. */
  constructor(config: VisionConfig) {
    super();
    checkVisionConfig("ViTTower", config);
    const { hidden_size, layer_norm_eps, pooler_output_size, pooler_act } = config;
    this.embeddings = new ViTEmbeddings(config);
    this.encoder = new ViTEncoder(config);
    this.layernorm = new LayerNorm(hidden_size, layer_norm_eps);
    this.pooler = new ViTDense(hidden_size, pooler_output_size, pooler_act);
  }

  /** Pixels `[batch, num_channels, rows, columns]` → `[batch, patches + 1, hidden_size]`. */
  override forward(pixel_values: Tensor): Tensor {
    return this.layernorm.call(this.encoder.call(this.embeddings.call(pixel_values)));
  }
}

/**
 * ViT (Dosovitskiy et al. 2021), with a classifier where the checkpoint has one.
 *
 * No example: {@linkcode AutoModelForImageEmbedding} loads it, whose example shows how.
 */
export class ViTModel extends VisionModel {
  /** The tower. */
  vit: ViTTower;

  /** Builds the module; its parameters are on the meta device. */
  constructor(override readonly config: VisionConfig) {
    super();
    checkVisionConfig("ViTModel", config);
    this.vit = new ViTTower(config);
    this.classifier = new Linear(config.hidden_size, config.labels.length);
    for (const [path, p] of this.namedParameters()) p.name ??= path; // as errors call them
  }

  /** Pixels → hidden states `[batch, patches + 1, hidden_size]`: the image's token comes first. */
  override hidden(pixel_values: Tensor): Tensor {
    return this.vit.call(pixel_values);
  }

  /** The image's token, through the pooler where there is one. */
  override embed(hidden_states: Tensor): Tensor {
    const first = this.classified(hidden_states);
    return this.vit.pooler ? this.vit.pooler.call(first) : first;
  }

  /** The image's token. */
  protected override classified(hidden_states: Tensor): Tensor {
    const [batch, , width] = hidden_states.shape;
    return slice(hidden_states, 1, 0, 1).reshape([batch, width]);
  }

  /** The projection of patches. */
  protected override get patches(): Conv2d {
    return this.vit.embeddings.patch_embeddings.projection;
  }
}
