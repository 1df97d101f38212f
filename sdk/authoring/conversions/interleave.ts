import { stridesOf } from "../../tensor/mod.ts";
import { bindMoves, type ConversionOp, dimOf, type Move, sameSpecs } from "./op.ts";

/**
 * Mixes equal tensors row by row: gate and up as gate 0, up 0, gate 1, up 1, … so that one workgroup finds both.
 * See the example of {@linkcode convert}.
 *
 * @param dim The dimension whose entries are the rows; a negative one counts from the end.
 */
export function interleave(dim = 0): ConversionOp {
  const op: ConversionOp = {
    name: "interleave",
    parameters: { dim },
    bind: (inputs) => {
      const { shape, dtype } = sameSpecs(op, inputs);
      const d = dimOf(op, inputs, dim, shape.length);
      const mixed = { dtype, shape: shape.with(d, shape[d] * inputs.length) };
      const strides = stridesOf(mixed.shape);
      const moves = inputs.map((_, i): Move => ({
        input: i,
        output: 0,
        region: {
          shape,
          source: { offset: 0, strides: stridesOf(shape) },
          target: { offset: i * strides[d], strides: strides.with(d, strides[d] * inputs.length) },
        },
      }));
      return bindMoves(op, inputs, [mixed], moves);
    },
  };
  return op;
}
