import { dispatch, shader, workgroups } from "../gpu/mod.ts";
import { referenceValues, type Tensor } from "../tensor/mod.ts";
import { checkExactShape, checkSameDType, shapeError } from "./checks.ts";
import { checkDType, FLOATS, operator } from "./operator.ts";
import code from "./wgsl/conv2d.wgsl" with { type: "text" };

const conv2dShader = shader({ name: "conv2d.wgsl", code });

/** Rows and columns, or one number for both. */
export type Pair = number | readonly [rows: number, columns: number];

/** How {@linkcode conv2d} walks its input. */
export interface Conv2dOptions {
  /** Steps between outputs. Defaults to 1. */
  readonly stride?: Pair;
  /** Zeros around the input, on each side. Defaults to 0. */
  readonly padding?: Pair;
  /** Steps between the weight's elements. Defaults to 1. */
  readonly dilation?: Pair;
  /** Into how many groups channels are cut, each with weights of its own. Defaults to 1. */
  readonly groups?: number;
}

/**
 * A convolution over two dimensions, as deep learning has it: a cross-correlation, the weight is not flipped
 * (Goodfellow, Bengio and Courville, Deep Learning, equation 9.6).
 *
 * @param input f32 or f16 `[B, C, H, W]`.
 * @param weight The same dtype, `[O, C / groups, kernel rows, kernel columns]`.
 * @param bias The same dtype, `[O]`, or undefined for none.
 * @returns `[B, O, H', W']` with `H' = ⌊(H + 2·padding − dilation·(rows − 1) − 1) / stride⌋ + 1`; sums are kept in f32.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { conv2d } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using image = Tensor.from([[[[1, 2, 3], [4, 5, 6], [7, 8, 9]]]]), weight = Tensor.from([[[[1, 1], [1, 1]]]]);
 * using out = conv2d(image, weight, undefined);
 * assertEquals([...await out.data()], [12, 16, 24, 28]);
 * ```
 */
export function conv2d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
  options: Conv2dOptions = {},
): Tensor {
  return run(input, weight, bias, options);
}

// ---------------------------------------------------------------------------

const ACTION = "run conv2d";

const run = operator<[input: Tensor, weight: Tensor, bias: Tensor | undefined, options: Conv2dOptions]>({
  name: "conv2d",
  infer: (input, weight, bias, options) => {
    checkDType(ACTION, input, FLOATS);
    checkSameDType(ACTION, input, weight, ...(bias ? [bias] : []));
    if (input.rank !== 4) shapeError(ACTION, `the input is ${input.describe()}`, "It must be [B, C, H, W].");
    const { groups } = sizesOf(options);
    const [batch, channels, ...size] = input.shape;
    if (weight.rank !== 4 || weight.shape[1] * groups !== channels || weight.shape[0] % groups !== 0) {
      shapeError(
        ACTION,
        `the input is ${input.describe()} and the weight ${weight.describe()}, in ${groups} groups`,
        `The weight must be [O, ${channels / groups}, rows, columns], with O a multiple of the groups.`,
      );
    }
    const [outputs, , ...kernel] = weight.shape;
    if (bias) checkExactShape(ACTION, "the bias", bias, [outputs]);
    return { shape: [batch, outputs, ...outputSize(size, kernel, options)], dtype: input.dtype };
  },
  webgpu: (out, input, weight, bias, options) => {
    const { groups, stride, padding, dilation } = sizesOf(options);
    const params = {
      count: out.size,
      has_bias: bias ? 1 : 0,
      channels: [weight.shape[1], weight.shape[0] / groups],
      groups,
      input: input.shape.slice(2),
      output: out.shape.slice(2),
      kernel: weight.shape.slice(2),
      ...{ stride, padding, dilation },
    };
    dispatch(conv2dShader, { input, weight, bias: bias ?? weight, out, params }, {
      workgroups: workgroups(out.size),
      types: { T: input.dtype },
    });
  },
  reference: (out, input, weight, bias, options) => {
    const { groups, stride, padding, dilation } = sizesOf(options);
    const [batch, channels, height, width] = input.shape;
    const [outputs, inGroup, rows, columns] = weight.shape;
    const [outHeight, outWidth] = outputSize([height, width], [rows, columns], options);
    const [v, w] = [referenceValues(input), referenceValues(weight)];
    let at = 0;
    for (let b = 0; b < batch; b++) {
      for (let o = 0; o < outputs; o++) {
        const first = Math.floor(o / (outputs / groups)) * inGroup;
        for (let y = 0; y < outHeight; y++) {
          for (let x = 0; x < outWidth; x++) {
            let sum = bias ? referenceValues(bias)[o] : 0;
            for (let c = 0; c < inGroup; c++) {
              for (let i = 0; i < rows; i++) {
                const row = y * stride[0] + i * dilation[0] - padding[0];
                if (row < 0 || row >= height) continue;
                for (let j = 0; j < columns; j++) {
                  const column = x * stride[1] + j * dilation[1] - padding[1];
                  if (column < 0 || column >= width) continue;
                  sum += v[((b * channels + first + c) * height + row) * width + column] *
                    w[((o * inGroup + c) * rows + i) * columns + j];
                }
              }
            }
            out[at++] = sum;
          }
        }
      }
    }
  },
});

function sizesOf({ stride = 1, padding = 0, dilation = 1, groups = 1 }: Conv2dOptions) {
  const pair = (name: string, value: Pair, least: number): readonly [number, number] => {
    const both = typeof value === "number" ? [value, value] as const : value;
    if (both.length !== 2 || both.some((n) => !Number.isSafeInteger(n) || n < least)) {
      shapeError(ACTION, `${name} is ${JSON.stringify(value)}`, `Give whole numbers of ${least} or more.`);
    }
    return both;
  };
  if (!Number.isSafeInteger(groups) || groups < 1) {
    shapeError(ACTION, `there are ${groups} groups`, "Give a whole number of 1 or more.");
  }
  return {
    groups,
    stride: pair("stride", stride, 1),
    padding: pair("padding", padding, 0),
    dilation: pair("dilation", dilation, 1),
  };
}

function outputSize(size: readonly number[], kernel: readonly number[], options: Conv2dOptions): number[] {
  const { stride, padding, dilation } = sizesOf(options);
  return size.map((n, d) => {
    const room = n + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1;
    if (kernel[d] === 0 || room < 0) {
      shapeError(
        ACTION,
        `a kernel of [${kernel.join(", ")}] does not fit into an input of [${size.join(", ")}]`,
        "Give more padding, or a smaller kernel.",
      );
    }
    return Math.floor(room / stride[d]) + 1;
  });
}
