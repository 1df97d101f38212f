import { checkArgument } from "../../arguments.ts";
import { numel } from "../../tensor/mod.ts";
import { bindMoves, type ConversionOp, type Move, refuse } from "./op.ts";

/**
 * Gives each tensor another shape with the same elements in the same order.
 * See the example of {@linkcode convert}.
 *
 * @param shape The sizes; one may be -1 and is worked out.
 */
export function reshape(shape: readonly number[]): ConversionOp {
  checkArgument("reshape(): shape", shape, "numbers in an array");
  const op: ConversionOp = {
    name: "reshape",
    parameters: { shape: [...shape] },
    bind: (inputs) => {
      const outputs = inputs.map((spec) => {
        const size = numel(spec.shape);
        const known = numel(shape.filter((d) => d !== -1));
        const target = shape.map((d) => d === -1 && known > 0 ? size / known : d);
        const whole = target.every((d) => Number.isInteger(d) && d >= 0);
        if (!whole || shape.filter((d) => d === -1).length > 1 || numel(target) !== size) {
          refuse(
            op,
            inputs,
            `the number of elements must stay ${size}`,
            "One size may be -1, which is then worked out.",
          );
        }
        return { dtype: spec.dtype, shape: target };
      });
      return bindMoves(op, inputs, outputs, inputs.map(({ shape }, i) => wholeMove(i, numel(shape))));
    },
  };
  return op;
}

/** The move of a whole tensor as one run of elements. */
export function wholeMove(index: number, size: number): Move {
  const run = { offset: 0, strides: [1] };
  return { input: index, output: index, region: { shape: [size], source: run, target: run } };
}
