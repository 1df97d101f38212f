import * as fc from "fast-check";
import {
  chunk,
  concatenate,
  type ConversionOp,
  interleave,
  pad,
  permute,
  permuteForRope,
  reshape,
  split,
  stackList,
  transpose,
  unstackList,
} from "../../sdk/authoring/mod.ts";
import { numel, sameShape, type Shape, type TensorSpec } from "../../sdk/tensor/mod.ts";

/** A random chain of ops that fits its sources. */
export interface Chain {
  /** The sources' shapes. */
  readonly shapes: readonly Shape[];
  /** The ops. */
  readonly ops: readonly ConversionOp[];
  /** How many tensors come out. */
  readonly targets: number;
}

/** Chains of up to four ops over one to four tensors, uneven ones and sizes of one among them. */
export const chain: fc.Arbitrary<Chain> = fc.record({
  shape: fc.array(fc.constantFrom<number[]>(1, 1, 2, 3, 4, 5), { minLength: 1, maxLength: 3 }),
  uneven: fc.array(fc.constantFrom<number[]>(1, 2, 2, 4, 6), { minLength: 1, maxLength: 4 }),
  even: fc.boolean(),
  choices: fc.array(fc.tuple(fc.nat(1000), fc.nat(1000)), { minLength: 1, maxLength: 4 }),
}).map(({ shape, uneven, even, choices }) => {
  const shapes = uneven.map((n) => even ? shape : shape.with(0, n));
  let specs: readonly TensorSpec[] = shapes.map((s) => ({ shape: s, dtype: "f32" }));
  const ops: ConversionOp[] = [];
  for (const [which, how] of choices) {
    const possible = candidates(specs, how);
    const op = possible[which % possible.length];
    ops.push(op);
    specs = op.bind(specs).outputs;
  }
  return { shapes, ops, targets: specs.length };
});

// ---------------------------------------------------------------------------

function candidates(specs: readonly TensorSpec[], how: number): ConversionOp[] {
  const [{ shape }] = specs;
  const rank = Math.min(...specs.map((s) => s.shape.length));
  const sameRank = specs.every((s) => s.shape.length === rank);
  const same = specs.every((s) => sameShape(s.shape, shape));
  const ops: ConversionOp[] = [reshape([-1]), reshape([1, -1])];
  if (specs.every((s) => numel(s.shape) % 2 === 0)) ops.push(reshape([2, -1]));
  if (rank > 0) {
    const d = how % rank;
    ops.push(pad({ dim: d, after: how % 3, multipleOf: 1 + how % 4, before: how % 2, value: 7 }));
    if (rank > 1) ops.push(transpose(d, (d + 1) % rank), transpose(-1, 0));
    if (rank > 1 && sameRank) ops.push(permute(Array.from({ length: rank }, (_, i) => (i + d) % rank)));
    if (specs.every((s) => s.shape[0] % 2 === 0)) ops.push(permuteForRope({ headDim: 2 }));
    if (specs.every((s) => s.shape[0] % 4 === 0)) {
      ops.push(permuteForRope({ headDim: 4, from: how % 2 ? "halves" : "interleaved" }));
    }
    if (specs.length > 1 && sameRank) {
      for (let c = 0; c < rank; c++) {
        if (specs.every((s) => sameShape(s.shape.toSpliced(c, 1), shape.toSpliced(c, 1)))) {
          ops.push(concatenate(c));
        }
      }
    }
    if (specs.length > 1 && same) ops.push(interleave(d));
    if (specs.length === 1) {
      ops.push(unstackList(d), split([how % (shape[d] + 1), shape[d] - how % (shape[d] + 1)], d));
      if (shape[d] % 2 === 0) ops.push(chunk(2, d));
    }
  }
  if (specs.length > 1 && same) ops.push(stackList(how % (rank + 1)), stackList(-1));
  return ops.filter((op) => op.name !== "unstackList" || shape[how % rank] > 0);
}
