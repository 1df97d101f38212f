import { checkArgument } from "../../arguments.ts";
import { numel, type TensorSpec } from "../../tensor/mod.ts";
import { bindMoves, type ConversionOp, type Move, refuse } from "./op.ts";
import { wholeMove } from "./reshape.ts";

/** What {@linkcode permuteForRope} must know of the heads. */
export interface RopePermutation {
  /** The number of rows of a head. */
  readonly headDim: number;
  /**
   * The heads of each tensor, as a check: one number for all, or one for each (q has more than k). 0 leaves a tensor
   * as it is: v stands beside q and k in one matrix, and is not rotated.
   */
  readonly heads?: number | readonly number[];
  /** The order that the tensors come in; defaults to `halves`. */
  readonly from?: "halves" | "interleaved";
}

/**
 * Orders the rows of q and k projections (and their biases) for a kernel that rotates neighbours.
 *
 *   halves, as in Hugging Face's files     a0 a1 a2 b0 b1 b2     pair i is rows i and i + headDim / 2
 *   interleaved                            a0 b0 a1 b1 a2 b2     pair i is rows 2i and 2i + 1
 *
 * Each head is ordered by itself, and each tensor has as many heads as its rows hold (grouped-query attention).
 * See the example of {@linkcode convert}.
 */
export function permuteForRope(options: RopePermutation): ConversionOp {
  checkArgument("permuteForRope(): options", options, "an object");
  const { headDim, heads, from = "halves" } = options;
  const op: ConversionOp = {
    name: "permuteForRope",
    parameters: { headDim, heads, from: options.from },
    bind: (inputs) => bindMoves(op, inputs, inputs, inputs.map((s, i) => rowsMove(op, inputs, s, i))),
  };
  return op;

  function rowsMove(op: ConversionOp, inputs: readonly TensorSpec[], spec: TensorSpec, i: number): Move {
    const [rows] = spec.shape;
    const wanted = typeof heads === "number" ? heads : heads?.[i];
    if (wanted === 0) return wholeMove(i, numel(spec.shape));
    if (rows === undefined || !Number.isInteger(headDim) || headDim < 2 || headDim % 2 !== 0) {
      refuse(op, inputs, "it takes rows in heads of an even size", "Give the headDim of the model.");
    }
    if (rows % headDim !== 0 || (heads !== undefined && wanted !== rows / headDim)) {
      const holds = heads === undefined ? `heads of ${headDim} rows` : `${wanted} heads of ${headDim} rows`;
      refuse(op, inputs, `${rows} rows are not ${holds}`, "Give headDim, and heads for each tensor.");
    }
    const row = numel(spec.shape.slice(1));
    const half = headDim / 2;
    const halves = { offset: 0, strides: [headDim * row, half * row, row, 1] };
    const mixed = { offset: 0, strides: [headDim * row, row, 2 * row, 1] };
    return {
      input: i,
      output: i,
      region: {
        shape: [rows / headDim, 2, half, row],
        source: from === "halves" ? halves : mixed,
        target: from === "halves" ? mixed : halves,
      },
    };
  }
}
