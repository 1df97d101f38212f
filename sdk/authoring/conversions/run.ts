import { cast, stridedCopy } from "../../ops/mod.ts";
import { type DeviceName, Tensor } from "../../tensor/mod.ts";
import type { BoundOp, Move } from "./op.ts";
import { isRun } from "./region.ts";

/**
 * Runs one bound op. The inputs stay; the results are new tensors, which may share an input's memory.
 * The op's name plays no part: it is all in the moves.
 */
export function runOp(op: BoundOp, inputs: readonly Tensor[]): Tensor[] {
  const device = inputs[0].device;
  const outputs: Tensor[] = [];
  try {
    for (const i of op.outputs.keys()) {
      const only = onlyMove(op, i);
      if (only) outputs.push(wholeTensor(inputs[only.input], op, i));
      else outputs.push(filled(op, i, device));
    }
    if (device !== "meta") copyMoves(op, inputs, outputs);
  } catch (error) {
    for (const t of outputs) t.dispose();
    throw error;
  }
  return outputs;
}

/** The move that makes all of output `i` out of all of an input, in the same order; undefined where there is none. */
export function onlyMove(op: BoundOp, i: number): Move | undefined {
  const moves = op.moves.filter((m) => m.output === i);
  if (moves.length !== 1 || !isRun(moves[0].region)) return undefined;
  const [move] = moves;
  const size = move.region.shape[0];
  const [input, output] = [op.inputs[move.input], op.outputs[i]];
  const whole = [input, output].every((s) => s.shape.reduce((a, b) => a * b, 1) === size);
  return whole ? move : undefined;
}

// ---------------------------------------------------------------------------

function wholeTensor(input: Tensor, op: BoundOp, i: number): Tensor {
  const { dtype, shape } = op.outputs[i];
  if (input.dtype === dtype) return input.reshape(shape);
  if (input.device === "meta") return Tensor.empty(shape, { dtype, device: "meta" });
  const converted = cast(input, dtype);
  const out = converted.reshape(shape);
  converted.dispose();
  return out;
}

function filled(op: BoundOp, i: number, device: DeviceName): Tensor {
  const { dtype, shape } = op.outputs[i];
  const out = Tensor.empty(shape, { dtype, device });
  if (op.fill === undefined || device === "meta" || out.size === 0) return out;
  const value = Tensor.from([op.fill], { dtype, device });
  stridedCopy(out, value, {
    shape: [out.size],
    source: { offset: 0, strides: [0] },
    target: { offset: 0, strides: [1] },
  });
  value.dispose();
  return out;
}

function copyMoves(op: BoundOp, inputs: readonly Tensor[], outputs: readonly Tensor[]): void {
  for (const move of op.moves) {
    if (onlyMove(op, move.output)) continue; // that output was made whole
    stridedCopy(outputs[move.output], inputs[move.input], move.region);
  }
}
