import { raise } from "../../errors.ts";
import type { Conv2d, Linear } from "../../nn/mod.ts";
import { attention, permute } from "../../ops/mod.ts";
import { type DType, scope, Tensor } from "../../tensor/mod.ts";
import type { Family } from "../family.ts";
import { PretrainedModel } from "../pretrained_model.ts";
import type { VisionConfig } from "./config.ts";
import type { ImageProcessor } from "./preprocessor.ts";

/** A family of vision models. */
export type VisionFamily = Family<VisionConfig, VisionModel>;

/**
 * A model that takes images: it gives hidden states of their patches, an embedding, and logits where it classifies.
 *
 * See the example of {@linkcode embedImage}.
 */
export abstract class VisionModel extends PretrainedModel {
  /** The checked config.json. */
  abstract override readonly config: VisionConfig;
  /** The classifier, where the checkpoint has one. */
  classifier?: Linear;
  /** How images become the model's input, as the folder's preprocessor_config.json says. */
  image_processor?: ImageProcessor;

  /** Pixels `[batch, num_channels, rows, columns]` → hidden states `[batch, tokens, hidden_size]` after the last norm. */
  abstract hidden(pixel_values: Tensor): Tensor;

  /** Hidden states → an embedding of each image, `[batch, width]`. */
  abstract embed(hidden_states: Tensor): Tensor;

  /** Hidden states → what the classifier sees, `[batch, hidden_size]`. */
  protected abstract classified(hidden_states: Tensor): Tensor;

  /** Whether the model has what makes an embedding. */
  protected get embeds(): boolean {
    return true;
  }

  /** The projection of patches: the first thing that the pixels meet. */
  protected abstract readonly patches: Conv2d;

  /**
   * Pixels f32 or f16, as the weights are, `[batch, num_channels, rows, columns]` → logits `[batch, labels]`; the
   * embedding `[batch, width]` of a model without a classifier; the hidden states of one that has nothing behind them.
   *
   * @throws KW-TENSOR-SHAPE for images of another size than the model's.
   */
  override forward(pixel_values: Tensor): Tensor {
    const hidden = this.hidden(this.checked(pixel_values));
    if (this.classifier) return this.classifier.call(this.classified(hidden));
    return this.embeds ? this.embed(hidden) : hidden;
  }

  /** Pixels as {@linkcode forward} takes them. @throws KW-TENSOR-SHAPE */
  checked(pixel_values: Tensor): Tensor {
    const wanted = [this.config.num_channels, ...this.config.image_size];
    const { shape } = pixel_values;
    if (shape.length !== 4 || wanted.some((n, d) => n !== shape[d + 1])) {
      raise(
        "KW-TENSOR-SHAPE",
        `Cannot run the model on pixels of shape [${shape.join(", ")}]`,
        `Give [batch, ${wanted.join(", ")}].`,
      );
    }
    return pixel_values;
  }

  /** The dtype of the weights, and of the arithmetic's results. */
  override get dtype(): DType {
    return this.patches.weight.dtype;
  }

  /** One image. */
  override exampleInputs(): unknown[][] {
    return [[Tensor.empty(this.#pixels(1), { dtype: this.dtype, device: "meta" })]];
  }

  /** Runs forward on a batch of that many images, all black. */
  override rehearse(images: number, device: "meta" | "webgpu"): Tensor {
    const options = { dtype: this.dtype, device };
    return scope(() => {
      const shape = this.#pixels(images);
      const pixels = device === "meta" ? Tensor.empty(shape, options) : Tensor.zeros(shape, options);
      return (this as VisionModel).call(pixels);
    });
  }

  #pixels(images: number): number[] {
    return [images, this.config.num_channels, ...this.config.image_size];
  }
}

/** `[batch, hidden, rows, columns]`, as a convolution gives it → `[batch, rows · columns, hidden]`. */
export function patchesInRows(x: Tensor): Tensor {
  const [batch, hidden, rows, columns] = x.shape;
  return permute(x.reshape([batch, hidden, rows * columns]), [0, 2, 1]);
}

/**
 * Attention in which every query sees every key (Vaswani et al. 2017).
 *
 * @param q `[batch, queries, width]`. @param k `[batch, keys, width]`. @param v Like `k`.
 * @returns `[batch, queries, width]`
 */
export function attendAll(q: Tensor, k: Tensor, v: Tensor, heads: number): Tensor {
  const split = (t: Tensor) => t.reshape([t.shape[0], t.shape[1], heads, t.shape[2] / heads]);
  const position = Tensor.zeros([1], { dtype: "i32", device: q.device });
  return attention(split(q), split(k), split(v), { position, causal: false }).reshape(q.shape);
}
