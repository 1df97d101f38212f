import { type DType, numel } from "../../tensor/mod.ts";
import { bindMoves, type ConversionOp, refuse } from "./op.ts";
import { wholeMove } from "./reshape.ts";

/** The dtypes that a cast converts between: what shaders can compute with. */
const CASTABLE: readonly DType[] = ["f32", "f16"];

/**
 * Converts each tensor to another floating-point dtype. The reverse remembers the old one.
 *
 * From f32 to f16 values are rounded, and reversing does not bring the lost bits back; saving says so unless the
 * file's own dtype was no wider.
 * See the example of {@linkcode convert}.
 */
export function cast(dtype: "f32" | "f16"): ConversionOp {
  const op: ConversionOp = {
    name: "cast",
    parameters: { dtype },
    bind: (inputs) => {
      const odd = [...inputs.map((s) => s.dtype), dtype].find((d) => !CASTABLE.includes(d));
      if (odd !== undefined) {
        refuse(op, inputs, `${odd} is not cast`, `It takes ${CASTABLE.join(" and ")}.`, "KW-CONVERT-DTYPE");
      }
      const outputs = inputs.map(({ shape }) => ({ dtype, shape }));
      return bindMoves(op, inputs, outputs, inputs.map(({ shape }, i) => wholeMove(i, numel(shape))));
    },
  };
  return op;
}
