import { checkArgument } from "../../arguments.ts";
import { sameShape, stridesOf, type TensorSpec } from "../../tensor/mod.ts";
import { bindMoves, type BoundOp, type ConversionOp, dimOf, type Move, onlyInput, refuse } from "./op.ts";
import type { StridedRegion } from "../../ops/mod.ts";
import { swapRegion } from "./region.ts";

/**
 * Puts tensors behind each other along a dimension. The parts may be uneven (q, k and v of grouped-query
 * attention), and come back as they were.
 * See the example of {@linkcode convert}.
 *
 * @param dim The dimension; a negative one counts from the end.
 */
export function concatenate(dim = 0): ConversionOp {
  const op: ConversionOp = {
    name: "concatenate",
    parameters: { dim },
    bind: (inputs) => bindConcatenate(op, inputs, dim),
  };
  return op;
}

/**
 * Cuts a tensor into `count` equal parts along a dimension.
 * See the example of {@linkcode convert}.
 *
 * @param count How many parts.
 * @param dim The dimension; a negative one counts from the end.
 */
export function chunk(count: number, dim = 0): ConversionOp {
  const op: ConversionOp = {
    name: "chunk",
    parameters: { count, dim },
    bind: (inputs) => {
      const { shape } = onlyInput(op, inputs);
      const size = shape[dimOf(op, inputs, dim, shape.length)];
      if (!Number.isInteger(count) || count < 1 || size % count !== 0) {
        refuse(
          op,
          inputs,
          `${size} does not divide into ${count} equal parts`,
          "Say the sizes with split([…]).",
        );
      }
      return bindParts(op, inputs, new Array<number>(count).fill(size / count), dim);
    },
  };
  return op;
}

/**
 * Cuts a tensor into parts of the given sizes along a dimension. A part of size one keeps its dimension.
 * See the example of {@linkcode convert}.
 *
 * @param sizes The size of each part; together the size of the dimension.
 * @param dim The dimension; a negative one counts from the end.
 */
export function split(sizes: readonly number[], dim = 0): ConversionOp {
  checkArgument("split(): sizes", sizes, "numbers in an array");
  const op: ConversionOp = {
    name: "split",
    parameters: { sizes: [...sizes], dim },
    bind: (inputs) => {
      const { shape } = onlyInput(op, inputs);
      const size = shape[dimOf(op, inputs, dim, shape.length)];
      const sum = sizes.reduce((a, b) => a + b, 0);
      if (sizes.length === 0 || !sizes.every((s) => Number.isInteger(s) && s >= 0) || sum !== size) {
        refuse(
          op,
          inputs,
          `the sizes sum to ${sum}, and the dimension has ${size}`,
          "Give sizes that sum to it.",
        );
      }
      return bindParts(op, inputs, sizes, dim);
    },
  };
  return op;
}

// ---------------------------------------------------------------------------

function bindConcatenate(op: ConversionOp, inputs: readonly TensorSpec[], dim: number): BoundOp {
  const first = inputs[0] ?? refuse(op, inputs, "it takes at least one tensor");
  const d = dimOf(op, inputs, dim, first.shape.length);
  for (const [i, spec] of inputs.entries()) {
    const fits = spec.dtype === first.dtype && spec.shape.length === first.shape.length &&
      sameShape(spec.shape.toSpliced(d, 1), first.shape.toSpliced(d, 1));
    if (!fits) {
      refuse(
        op,
        inputs,
        `tensor ${i + 1} of ${inputs.length} does not fit the first`,
        `Only dimension ${d} may differ, and the dtypes must be equal.`,
      );
    }
  }
  const sizes = inputs.map((s) => s.shape[d]);
  const whole = { dtype: first.dtype, shape: first.shape.with(d, sizes.reduce((a, b) => a + b, 0)) };
  const moves = partsOf(whole, sizes, d).map((region, i): Move => (
    { input: i, output: 0, region: swapRegion(region) }
  ));
  return bindMoves(op, inputs, [whole], moves);
}

function bindParts(
  op: ConversionOp,
  inputs: readonly TensorSpec[],
  sizes: readonly number[],
  dim: number,
): BoundOp {
  const [whole] = inputs;
  const d = dimOf(op, inputs, dim, whole.shape.length);
  const outputs = sizes.map((s) => ({ dtype: whole.dtype, shape: whole.shape.with(d, s) }));
  const moves = partsOf(whole, sizes, d).map((region, i): Move => ({ input: 0, output: i, region }));
  return bindMoves(op, inputs, outputs, moves);
}

/** For each part, the copy from its slice of the whole. */
function partsOf(whole: TensorSpec, sizes: readonly number[], d: number): StridedRegion[] {
  const strides = stridesOf(whole.shape);
  let at = 0;
  return sizes.map((size) => {
    const shape = whole.shape.with(d, size);
    const region = {
      shape,
      source: { offset: at * strides[d], strides },
      target: { offset: 0, strides: stridesOf(shape) },
    };
    at += size;
    return region;
  });
}
