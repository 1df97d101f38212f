import { referenceValues, resolveDim, type Tensor, type TensorSpec } from "../tensor/mod.ts";
import { shapeError } from "./checks.ts";
import { aroundDim } from "./dispatch/around.ts";
import { dispatchLines, lineShaders } from "./dispatch/lines.ts";
import { checkDType, FLOATS, operator } from "./operator.ts";
import argmaxCode from "./wgsl/argmax.wgsl" with { type: "text" };
import reduceCode from "./wgsl/reduce.wgsl" with { type: "text" };

const reduceShaders = lineShaders("reduce", reduceCode, "f32");
const argmaxShaders = lineShaders("argmax", argmaxCode, "vec2<u32>");

/**
 * The sum along a dimension, which drops out of the shape. Kept in f32; of nothing it is 0.
 *
 * @param x f32 or f16. @param dim The dimension; a negative one counts from the end.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { sum } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([[1, 2], [3, 4]]), out = sum(x, -1);
 * assertEquals([...await out.data()], [3, 7]);
 * ```
 */
export const sum: (x: Tensor, dim: number) => Tensor = reduction(
  "sum",
  0,
  (v) => v.reduce((s, a) => s + a, 0),
);

/**
 * The mean along a dimension, which drops out of the shape. Kept in f32; of nothing it is NaN.
 *
 * @param x f32 or f16. @param dim The dimension; a negative one counts from the end.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { mean } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([[1, 2], [3, 4]]), out = mean(x, 0);
 * assertEquals([...await out.data()], [2, 3]);
 * ```
 */
export const mean: (x: Tensor, dim: number) => Tensor = reduction(
  "mean",
  1,
  (v) => v.reduce((s, a) => s + a, 0) / v.length,
);

/**
 * The largest along a dimension, which drops out of the shape; NaN where there is one.
 *
 * @param x f32 or f16. @param dim The dimension, of at least one element; a negative one counts from the end.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { max } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([[1, 5], [4, 3]]), out = max(x, -1);
 * assertEquals([...await out.data()], [5, 4]);
 * ```
 */
export const max: (x: Tensor, dim: number) => Tensor = reduction(
  "max",
  2,
  (v) => v.reduce((most, a) => Math.max(most, a), -Infinity),
);

/**
 * Where the largest along a dimension is: the first of equals. A NaN never wins; of nothing but NaN it is 0.
 *
 * @param x f32 or f16.
 * @param dim The dimension, of at least one element, which drops out of the shape; a negative one counts from the end.
 * @param mark Whether a line that has NaN or +∞, or nothing finite, gets −1: there is no telling which is the largest.
 * Defaults to false.
 * @returns i32
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { argmax } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([[1, 5], [4, 3]]), out = argmax(x);
 * assertEquals([...await out.data()], [1, 0]);
 * ```
 */
export function argmax(x: Tensor, dim = -1, mark = false): Tensor {
  return runArgmax(x, dim, mark);
}

// ---------------------------------------------------------------------------

const runArgmax = operator<[x: Tensor, dim: number, mark: boolean]>({
  name: "argmax",
  infer: (x, dim) => ({ ...inferReduced("argmax", x, dim, false), dtype: "i32" }),
  webgpu: (out, x, dim, mark) =>
    dispatchLines(argmaxShaders, {
      x,
      around: aroundDim(x.shape, resolveDim(dim, x.rank, "run argmax")),
      bindings: { out },
      params: (width) => ({ width, mark: Number(mark) }),
    }),
  reference: (out, x, dim, mark) =>
    eachLine(x, resolveDim(dim, x.rank, "run argmax"), (line, v) => {
      let best = 0;
      if (mark && !choosable(v)) {
        out[line] = -1;
        return;
      }
      v.forEach((a, i) => {
        if (a > v[best] || (Number.isNaN(v[best]) && !Number.isNaN(a))) best = i;
      });
      out[line] = best;
    }),
});

/** Whether the largest can be told: there is a finite one, and neither NaN nor +∞. */
export function choosable(values: Iterable<number>): boolean {
  let finite = false;
  for (const v of values) {
    if (Number.isNaN(v) || v === Infinity) return false;
    finite ||= v > -Infinity;
  }
  return finite;
}

function reduction(
  name: string,
  id: number,
  f: (values: number[]) => number,
): (x: Tensor, dim: number) => Tensor {
  return operator<[x: Tensor, dim: number]>({
    name,
    infer: (x, dim) => inferReduced(name, x, dim, name !== "max"),
    webgpu: (out, x, dim) => {
      const around = aroundDim(x.shape, resolveDim(dim, x.rank, `run ${name}`));
      dispatchLines(reduceShaders, {
        x,
        around,
        bindings: { out },
        params: (width) => ({ width, count: around.count, least: -Infinity }),
        constants: { OP: id },
      });
    },
    reference: (out, x, dim) =>
      eachLine(x, resolveDim(dim, x.rank, `run ${name}`), (line, v) => out[line] = f(v)),
  });
}

function inferReduced(name: string, x: Tensor, dim: number, mayBeEmpty: boolean): TensorSpec {
  checkDType(`run ${name}`, x, FLOATS);
  const d = resolveDim(dim, x.rank, `run ${name}`);
  if (x.shape[d] === 0 && !mayBeEmpty) {
    shapeError(
      `run ${name}`,
      `dimension ${dim} of ${x.describe()} has no elements`,
      "Nothing has no largest one.",
    );
  }
  return { shape: x.shape.filter((_, i) => i !== d), dtype: x.dtype };
}

function eachLine(x: Tensor, dim: number, visit: (line: number, values: number[]) => void): void {
  const { outer, count, inner } = aroundDim(x.shape, dim);
  const v = referenceValues(x);
  for (let line = 0; line < outer * inner; line++) {
    const start = Math.floor(line / inner) * count * inner + line % inner;
    visit(line, Array.from({ length: count }, (_, i) => v[start + i * inner]));
  }
}
