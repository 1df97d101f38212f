import { referenceValues, resolveDim, type Tensor } from "../tensor/mod.ts";
import { aroundDim } from "./dispatch/around.ts";
import { dispatchLines, lineShaders } from "./dispatch/lines.ts";
import { checkDType, FLOATS, operator } from "./operator.ts";
import code from "./wgsl/softmax.wgsl" with { type: "text" };

const shaders = lineShaders("softmax", code, "vec2<f32>");

/**
 * `exp(x) / Σ exp(x)` along a dimension, shifted by the largest so that nothing overflows.
 *
 * −∞ gets 0, provided that the dimension has a finite number too; of nothing but −∞, all is NaN: such a row has no
 * probabilities. Where there is a NaN or +∞, all is NaN.
 *
 * @param x f32 or f16.
 * @param dim The dimension; a negative one counts from the end.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { softmax } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([[0, Math.log(3)]]), out = softmax(x);
 * await assertClose(out, [0.25, 0.75]);
 * ```
 */
export function softmax(x: Tensor, dim = -1): Tensor {
  return run(x, dim);
}

// ---------------------------------------------------------------------------

const run = operator<[x: Tensor, dim: number]>({
  name: "softmax",
  infer: (x, dim) => {
    checkDType("run softmax", x, FLOATS);
    resolveDim(dim, x.rank, "run softmax");
    return { shape: x.shape, dtype: x.dtype };
  },
  webgpu: (out, x, dim) =>
    dispatchLines(shaders, {
      x,
      around: aroundDim(x.shape, resolveDim(dim, x.rank, "run softmax")),
      bindings: { out },
      params: (width) => ({ share: width / 4 }),
    }),
  reference: (out, x, dim) => {
    const { outer, count, inner } = aroundDim(x.shape, resolveDim(dim, x.rank, "run softmax"));
    const v = referenceValues(x);
    for (let line = 0; line < outer * inner; line++) {
      const start = Math.floor(line / inner) * count * inner + line % inner;
      const places = Array.from({ length: count }, (_, i) => start + i * inner);
      const largest = places.reduce((m, p) => Math.max(m, v[p]), -Infinity);
      const sum = places.reduce((s, p) => s + Math.exp(v[p] - largest), 0);
      for (const p of places) out[p] = Math.exp(v[p] - largest) / sum;
    }
  },
});
