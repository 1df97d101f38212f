import { isRun, type Move } from "../../authoring/mod.ts";
import type { BoundOp, BoundRule } from "../../authoring/mod.ts";
import { DTYPES, numel } from "../../tensor/mod.ts";

/**
 * The moves of a rule that needs no temporary: each source's elements go, in their order, to a slice of a target, so
 * that pieces can be written there as they come from the file (`concatenate(0)`, `stackList`, `chunk`, reshapes).
 * Undefined where the order changes.
 */
export function directMoves(bound: BoundRule): readonly Move[] | undefined {
  // Ops that keep the order of all elements change nothing here: what is left must be one op.
  const steps = bound.steps.filter((s) => !keepsOrder(s));
  if (steps.length > 1) return undefined;
  const moves = steps.length === 1 ? steps[0].moves : bound.steps[0]?.moves ?? [];
  const covered = bound.outputs.map(() => 0);
  for (const move of moves) {
    if (!isRun(move.region) || !aligned(bound, move)) return undefined;
    covered[move.output] += move.region.shape[0];
  }
  const whole = bound.outputs.every((s, i) => covered[i] === numel(s.shape));
  const sameDType = bound.steps.every((s) =>
    s.moves.every((m) => s.inputs[m.input].dtype === s.outputs[m.output].dtype)
  );
  return whole && sameDType ? moves : undefined;
}

// ---------------------------------------------------------------------------

function keepsOrder(op: BoundOp): boolean {
  return op.inputs.length === op.outputs.length &&
    op.moves.every((m) =>
      m.input === m.output && isRun(m.region) && m.region.shape[0] === numel(op.inputs[m.input].shape) &&
      m.region.shape[0] === numel(op.outputs[m.output].shape)
    );
}

/** A write to a GPU buffer begins and ends at multiples of 4 bytes, unless it ends where the tensor does. */
function aligned(bound: BoundRule, { region, output }: Move): boolean {
  const { shape, dtype } = bound.outputs[output];
  const { bytes } = DTYPES[dtype];
  const [begin, end] = [region.target.offset, region.target.offset + region.shape[0]];
  return begin * bytes % 4 === 0 && (end * bytes % 4 === 0 || end === numel(shape));
}
