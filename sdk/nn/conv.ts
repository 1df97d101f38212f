import { add, conv2d, type Conv2dOptions, matmul, type Pair } from "../ops/mod.ts";
import { checkArgument, refuseArgument } from "../arguments.ts";
import { type Parameter, parameter, type Tensor } from "../tensor/mod.ts";
import { layer } from "./layer.ts";
import { Module } from "./module.ts";

/**
 * A convolution over images, as vision models cut them into patches.
 *
 * @example
 * ```ts
 * import { Tensor } from "@kernelwright/sdk";
 * import { Conv2d } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * const patches = new Conv2d(3, 64, 16, { stride: 16 });
 * using image = Tensor.empty([1, 3, 224, 224], { device: "meta" });
 * assertEquals(patches.call(image).shape, [1, 64, 14, 14]);
 * ```
 */
@layer("Conv2d")
export class Conv2d extends Module {
  /** `[out_channels, in_channels / groups, rows, columns]`. */
  weight: Parameter;
  /** `[out_channels]`, if there is one. */
  bias?: Parameter;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param kernel_size Rows and columns of the weight, or one number for both.
   */
  constructor(
    readonly in_channels: number,
    readonly out_channels: number,
    readonly kernel_size: Pair,
    readonly options: Conv2dOptions & { readonly bias?: boolean } = {},
  ) {
    super();
    for (const [name, n] of Object.entries({ in_channels, out_channels })) {
      checkArgument(`new Conv2d(): ${name}`, n, "a count");
    }
    if (!isPair(kernel_size)) {
      refuseArgument("new Conv2d(): kernel_size", kernel_size, "one number or two");
    }
    checkArgument("new Conv2d(): options", options, "an object");
    const groups = options.groups ?? 1;
    if (!Number.isSafeInteger(groups) || groups < 1 || in_channels % groups !== 0) {
      refuseArgument("new Conv2d(): options.groups", groups, `a divisor of in_channels, ${in_channels}`);
    }
    const [rows, columns] = typeof kernel_size === "number" ? [kernel_size, kernel_size] : kernel_size;
    this.weight = parameter([out_channels, in_channels / groups, rows, columns]);
    if (options.bias ?? true) this.bias = parameter([out_channels]);
  }

  /** `[batch, in_channels, height, width]` → `[batch, out_channels, rows, columns]`. */
  override forward(input: Tensor): Tensor {
    return conv2d(input, this.weight, this.bias, this.options);
  }
}

/**
 * `y = x W + b`, a linear map whose weight lies the other way round than {@linkcode Linear}'s (GPT-2).
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { Conv1D } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using conv = new Conv1D(1, 2);
 * conv.loadStateDict({ weight: Tensor.from([[3], [4]]), bias: Tensor.from([100]) });
 * using x = Tensor.from([[1, 2]]), y = conv.call(x);
 * assertEquals([...await y.data()], [111]);
 * ```
 */
@layer("Conv1D")
export class Conv1D extends Module {
  /** `[nx, nf]`: inputs by outputs. */
  weight: Parameter;
  /** `[nf]`. */
  bias: Parameter;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param nf Outputs.
   * @param nx Inputs.
   */
  constructor(readonly nf: number, readonly nx: number) {
    super();
    this.weight = parameter([nx, nf]);
    this.bias = parameter([nf]);
  }

  /** `[..., nx]` → `[..., nf]`. */
  override forward(x: Tensor): Tensor {
    return add(matmul(x, this.weight), this.bias);
  }
}

function isPair(value: unknown): value is Pair {
  const all = Array.isArray(value) ? value : [value, value];
  return all.length === 2 && all.every((n) => Number.isSafeInteger(n) && n > 0);
}
