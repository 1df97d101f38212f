import { linear } from "../ops/mod.ts";
import { type Parameter, parameter, type Tensor } from "../tensor/mod.ts";
import { layer } from "./layer.ts";
import { Module } from "./module.ts";

/**
 * `y = x Wᵀ + b`, with the weight as checkpoints have it: `[out_features, in_features]`.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { Linear } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using linear = new Linear(2, 1);
 * linear.loadStateDict({ weight: Tensor.from([[3, 4]]), bias: Tensor.from([100]) });
 * using x = Tensor.from([[1, 2]]), y = linear.call(x);
 * assertEquals([...await y.data()], [111]);
 * ```
 */
@layer("Linear")
export class Linear extends Module {
  /** `[out_features, in_features]`. */
  weight: Parameter;
  /** `[out_features]`, if there is one. */
  bias?: Parameter;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param bias Whether there is a bias; defaults to true, as in PyTorch.
   */
  constructor(readonly in_features: number, readonly out_features: number, bias = true) {
    super();
    this.weight = parameter([out_features, in_features]);
    if (bias) this.bias = parameter([out_features]);
  }

  /** `[..., in_features]` → `[..., out_features]`. */
  override forward(x: Tensor): Tensor {
    return linear(x, this.weight, this.bias);
  }
}
