import { checkArgument } from "../../arguments.ts";
import { stridesOf, type TensorSpec } from "../../tensor/mod.ts";
import { bindMoves, type ConversionOp, dimOf, type Move, refuse } from "./op.ts";

/** How {@linkcode pad} makes a dimension longer. */
export interface PadOptions {
  /** The dimension; a negative one counts from the end. Defaults to the first. */
  readonly dim?: number;
  /** Entries in front. */
  readonly before?: number;
  /** Entries behind. */
  readonly after?: number;
  /** Further entries behind, until the size is a multiple of this. */
  readonly multipleOf?: number;
  /** What the new entries hold; defaults to 0. */
  readonly value?: number;
}

/**
 * Makes a dimension of each tensor longer. The reverse drops what was added.
 * See the example of {@linkcode convert}.
 */
export function pad(options: PadOptions): ConversionOp {
  checkArgument("pad(): options", options, "an object");
  const { dim = 0, before = 0, after = 0, multipleOf = 1, value = 0 } = options;
  const op: ConversionOp = {
    name: "pad",
    parameters: { ...options },
    bind: (inputs) => {
      if (![before, after, multipleOf - 1].every((n) => Number.isInteger(n) && n >= 0)) {
        refuse(op, inputs, "it adds whole numbers of entries", "Give before, after and multipleOf as such.");
      }
      const outputs = inputs.map(({ shape, dtype }): TensorSpec => {
        const d = dimOf(op, inputs, dim, shape.length);
        const least = shape[d] + before + after;
        return { dtype, shape: shape.with(d, Math.ceil(least / multipleOf) * multipleOf) };
      });
      const moves = inputs.map(({ shape }, i): Move => {
        const strides = stridesOf(outputs[i].shape);
        const d = dimOf(op, inputs, dim, shape.length);
        return {
          input: i,
          output: i,
          region: {
            shape,
            source: { offset: 0, strides: stridesOf(shape) },
            target: { offset: before * strides[d], strides },
          },
        };
      });
      return bindMoves(op, inputs, outputs, moves, { fill: value });
    },
  };
  return op;
}
