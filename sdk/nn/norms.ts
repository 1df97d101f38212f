import { layerNorm, rmsNorm } from "../ops/mod.ts";
import { type Parameter, parameter, type Tensor } from "../tensor/mod.ts";
import { layer } from "./layer.ts";
import { Module } from "./module.ts";

/**
 * `x / sqrt(mean(x²) + eps) · weight` over the last dimension (Zhang and Sennrich 2019).
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { RMSNorm } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using norm = new RMSNorm(2);
 * norm.loadStateDict({ weight: Tensor.from([1, 2]) });
 * using x = Tensor.from([[3, 4]]), y = norm.call(x);
 * await assertClose(y, [0.8485, 2.2627], { atol: 1e-4 });
 * ```
 */
@layer("RMSNorm")
export class RMSNorm extends Module {
  /** `[hidden_size]`. */
  weight: Parameter;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param eps Added to the mean of squares, inside the root.
   */
  constructor(readonly hidden_size: number, readonly eps = 1e-6) {
    super();
    this.weight = parameter([hidden_size]);
  }

  /** `[..., hidden_size]` → the same shape. */
  override forward(hidden_states: Tensor): Tensor {
    return rmsNorm(hidden_states, this.weight, this.eps);
  }
}

/**
 * `x / sqrt(mean(x²) + eps) · (1 + weight)` over the last dimension: Gemma's norm. A class of its own, since the same
 * weight means something else than in {@linkcode RMSNorm}: a kernel for that one does not fit here.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { GemmaRMSNorm } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using norm = new GemmaRMSNorm(2);
 * norm.loadStateDict({ weight: Tensor.from([0, 1]) });
 * using x = Tensor.from([[3, 4]]), y = norm.call(x);
 * await assertClose(y, [0.8485, 2.2627], { atol: 1e-4 });
 * ```
 */
@layer("GemmaRMSNorm")
export class GemmaRMSNorm extends Module {
  /** `[dim]`; 0 leaves a value as it is. */
  weight: Parameter;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param eps Added to the mean of squares, inside the root.
   */
  constructor(readonly dim: number, readonly eps = 1e-6) {
    super();
    this.weight = parameter([dim]);
  }

  /** `[..., dim]` → the same shape. */
  override forward(x: Tensor): Tensor {
    return rmsNorm(x, this.weight, this.eps, 1);
  }
}

/**
 * `(x − mean) / sqrt(variance + eps) · weight + bias` over the last dimension (Ba et al. 2016).
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { LayerNorm } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using norm = new LayerNorm(2);
 * norm.loadStateDict({ weight: Tensor.from([1, 1]), bias: Tensor.from([0, 10]) });
 * using x = Tensor.from([[1, 3]]), y = norm.call(x);
 * await assertClose(y, [-1, 11], { atol: 1e-4 });
 * ```
 */
@layer("LayerNorm")
export class LayerNorm extends Module {
  /** `[normalized_shape]`. */
  weight: Parameter;
  /** `[normalized_shape]`, if there is one. */
  bias?: Parameter;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param normalized_shape The width of the last dimension.
   * @param eps Added to the variance.
   */
  constructor(readonly normalized_shape: number, readonly eps = 1e-5, bias = true) {
    super();
    this.weight = parameter([normalized_shape]);
    if (bias) this.bias = parameter([normalized_shape]);
  }

  /** `[..., normalized_shape]` → the same shape. */
  override forward(x: Tensor): Tensor {
    return layerNorm(x, this.weight, this.bias, this.eps);
  }
}
