import { checkInstance } from "../arguments.ts";
import { referenceValues, resolveDim, type Shape, stridesOf, Tensor } from "../tensor/mod.ts";
import { checkSameDType, shapeError } from "./checks.ts";
import { operator } from "./operator.ts";
import { copyValues, stridedCopy, type StridedRegion } from "./strided_copy.ts";

/**
 * The dimensions in another order: `out.shape[i]` is `x.shape[dims[i]]`. A copy.
 *
 * @param x Any dtype, at most 8 dimensions.
 * @param dims Every dimension once; negative ones count from the end.
 * @throws KW-TENSOR-SHAPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { permute } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.zeros([2, 3, 4]), out = permute(x, [2, 0, 1]);
 * assertEquals(out.shape, [4, 2, 3]);
 * ```
 */
export const permute: (x: Tensor, dims: readonly number[]) => Tensor = operator<
  [x: Tensor, dims: readonly number[]]
>({
  name: "permute",
  infer: (x, dims) => ({ shape: resolveDims(x, dims).map((d) => x.shape[d]), dtype: x.dtype }),
  webgpu: (out, x, dims) => stridedCopy(out, x, permuted(x, dims)),
  reference: (out, x, dims) => copyValues(out, referenceValues(x), permuted(x, dims)),
});

/**
 * Two dimensions exchanged. A copy.
 *
 * @param x Any dtype, at most 8 dimensions. @param a One dimension. @param b The other one.
 * @throws KW-TENSOR-SHAPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { transpose } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([[1, 2, 3], [4, 5, 6]]), out = transpose(x, 0, 1);
 * assertEquals([...await out.data()], [1, 4, 2, 5, 3, 6]);
 * ```
 */
export function transpose(x: Tensor, a: number, b: number): Tensor {
  checkInstance("transpose(): x", x, Tensor);
  const [i, j] = [resolveDim(a, x.rank, "run transpose"), resolveDim(b, x.rank, "run transpose")];
  return permute(x, x.shape.map((_, d) => d === i ? j : d === j ? i : d));
}

/**
 * The part of a dimension from `start` up to, not including, `end`. A copy.
 *
 * @param x Any dtype. @param dim The dimension; a negative one counts from the end.
 * @throws KW-TENSOR-SHAPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { slice } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([[1, 2, 3], [4, 5, 6]]), out = slice(x, -1, 0, 2);
 * assertEquals([...await out.data()], [1, 2, 4, 5]);
 * ```
 */
export const slice: (x: Tensor, dim: number, start: number, end: number) => Tensor = operator<
  [x: Tensor, dim: number, start: number, end: number]
>({
  name: "slice",
  infer: (x, dim, start, end) => {
    const d = resolveDim(dim, x.rank, "run slice");
    if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || start > end || end > x.shape[d]) {
      shapeError(
        "run slice",
        `from ${start} to ${end} of dimension ${dim} of ${x.describe()}`,
        `Give whole numbers with 0 <= start <= end <= ${x.shape[d]}.`,
      );
    }
    return { shape: x.shape.map((size, i) => i === d ? end - start : size), dtype: x.dtype };
  },
  webgpu: (out, x, dim, start, end) => stridedCopy(out, x, sliced(x, dim, start, end)),
  reference: (out, x, dim, start, end) => copyValues(out, referenceValues(x), sliced(x, dim, start, end)),
});

/**
 * Tensors one after the other along a dimension.
 *
 * @param xs At least one; any dtype, the same for all; shapes equal but for `dim`.
 * @param dim The dimension; a negative one counts from the end.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { concat } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using a = Tensor.from([[1], [2]]), b = Tensor.from([[3], [4]]), out = concat([a, b], 1);
 * assertEquals([...await out.data()], [1, 3, 2, 4]);
 * ```
 */
export const concat: (xs: readonly Tensor[], dim: number) => Tensor = operator<
  [xs: readonly Tensor[], dim: number]
>({
  name: "concat",
  infer: (xs, dim) => {
    if (xs.length === 0) shapeError("run concat", "no tensors", "Give at least one.");
    for (const x of xs) checkSameDType("run concat", xs[0], x);
    const d = resolveDim(dim, xs[0].rank, "run concat");
    const shape = [...xs[0].shape];
    for (const x of xs.slice(1)) {
      if (x.rank !== shape.length || x.shape.some((size, i) => i !== d && size !== shape[i])) {
        shapeError(
          "run concat",
          `${xs[0].describe()} and ${x.describe()} along dimension ${dim}`,
          "All other sizes must be equal.",
        );
      }
      shape[d] += x.shape[d];
    }
    return { shape, dtype: xs[0].dtype };
  },
  webgpu: (out, xs, dim) => {
    for (const { x, region } of pieces(xs, dim, out.shape)) stridedCopy(out, x, region);
  },
  reference: (out, xs, dim) => {
    const d = resolveDim(dim, xs[0].rank, "run concat");
    const shape = xs[0].shape.map((size, i) => i === d ? xs.reduce((n, x) => n + x.shape[d], 0) : size);
    for (const { x, region } of pieces(xs, dim, shape)) copyValues(out, referenceValues(x), region);
  },
});

// ---------------------------------------------------------------------------

function resolveDims(x: Tensor, dims: readonly number[]): number[] {
  const resolved = dims.map((d) => resolveDim(d, x.rank, "run permute"));
  if (resolved.length !== x.rank || new Set(resolved).size !== x.rank) {
    shapeError(
      "run permute",
      `the order [${dims.join(", ")}] of ${x.describe()}`,
      "Name every dimension once.",
    );
  }
  return resolved;
}

function permuted(x: Tensor, dims: readonly number[]): StridedRegion {
  const order = resolveDims(x, dims);
  const shape = order.map((d) => x.shape[d]);
  const strides = stridesOf(x.shape);
  return {
    shape,
    source: { offset: 0, strides: order.map((d) => strides[d]) },
    target: { offset: 0, strides: stridesOf(shape) },
  };
}

function sliced(x: Tensor, dim: number, start: number, end: number): StridedRegion {
  const d = resolveDim(dim, x.rank, "run slice");
  const shape = x.shape.map((size, i) => i === d ? end - start : size);
  const strides = stridesOf(x.shape);
  return {
    shape,
    source: { offset: start * strides[d], strides },
    target: { offset: 0, strides: stridesOf(shape) },
  };
}

function* pieces(
  xs: readonly Tensor[],
  dim: number,
  shape: Shape,
): Generator<{ x: Tensor; region: StridedRegion }> {
  const d = resolveDim(dim, shape.length, "run concat");
  const target = stridesOf(shape);
  let offset = 0;
  for (const x of xs) {
    const region = {
      shape: x.shape,
      source: { offset: 0, strides: stridesOf(x.shape) },
      target: { offset: offset * target[d], strides: target },
    };
    yield { x, region };
    offset += x.shape[d];
  }
}
