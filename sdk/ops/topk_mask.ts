import { referenceValues, type Tensor } from "../tensor/mod.ts";
import { shapeError } from "./checks.ts";
import { dispatchLines, lineShaders } from "./lines.ts";
import { checkDType, FLOATS, operator } from "./operator.ts";
import code from "./wgsl/topk_mask.wgsl" with { type: "text" };

const shaders = lineShaders("topk_mask", code, "f32");

/**
 * The k largest of each row, and zeros in place of the others: how much a token goes to each expert.
 *
 * Of equal ones the first is larger. A row that sums to zero is not divided.
 *
 * @param probabilities f32 or f16 `[N, E]`, not negative.
 * @param k How many stay, from 1 to E.
 * @param normalize Whether those that stay are divided by their sum.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 */
export const topkMask: (probabilities: Tensor, k: number, normalize: boolean) => Tensor = operator<
  [probabilities: Tensor, k: number, normalize: boolean]
>({
  name: "topkMask",
  infer: (x, k) => {
    checkDType("run topkMask", x, FLOATS);
    if (x.rank !== 2) shapeError("run topkMask", x.describe(), "It must be [N, E].");
    if (!Number.isInteger(k) || k < 1 || k > x.shape[1]) {
      shapeError("run topkMask", `the ${k} largest of ${x.shape[1]}`, `Give a k from 1 to ${x.shape[1]}.`);
    }
    return { shape: x.shape, dtype: x.dtype };
  },
  webgpu: (out, x, k, normalize) =>
    dispatchLines(shaders, {
      x,
      around: { outer: x.shape[0], count: x.shape[1], inner: 1 },
      bindings: { out },
      params: () => ({ k, normalize: normalize ? 1 : 0 }),
      scalar: true,
      rounds: x.shape[1] + 1,
    }),
  reference: (out, x, k, normalize) => {
    const [rows, count] = x.shape;
    for (let row = 0; row < rows; row++) {
      const v = referenceValues(x).subarray(row * count, (row + 1) * count);
      const order = Array.from(v.keys()).sort((i, j) => v[j] - v[i] || i - j).slice(0, k);
      const sum = order.reduce((s, i) => s + v[i], 0);
      for (const i of order) out[row * count + i] = normalize && sum !== 0 ? v[i] / sum : v[i];
    }
  },
});
