import { raise } from "../errors.ts";
import { formatShape, type Shape, type Tensor } from "../tensor/mod.ts";
import { checkDType } from "./operator.ts";

/** Raises KW-TENSOR-SHAPE: `Cannot <action>: <what>`. */
export function shapeError(action: string, what: string, fix?: string): never {
  raise("KW-TENSOR-SHAPE", `Cannot ${action}: ${what}`, fix);
}

/** Raises KW-TENSOR-SHAPE unless `t` has at least `rank` dimensions. */
export function checkRank(action: string, t: Tensor, rank: number, layout: string): void {
  if (t.rank >= rank) return;
  shapeError(action, `${t.describe()} has ${t.rank} dimensions`, `It must be ${layout}.`);
}

/** Raises KW-TENSOR-SHAPE unless `t` has exactly the shape that is wanted. */
export function checkExactShape(action: string, role: string, t: Tensor, wanted: Shape): void {
  if (t.rank === wanted.length && wanted.every((d, i) => t.shape[i] === d)) return;
  shapeError(action, `${role} is ${t.describe()}`, `It must be ${formatShape(wanted)}.`);
}

/** Raises KW-TENSOR-DTYPE unless all tensors have the dtype of the first. */
export function checkSameDType(action: string, ...tensors: readonly Tensor[]): void {
  const odd = tensors.find((t) => t.dtype !== tensors[0].dtype);
  if (!odd) return;
  raise(
    "KW-TENSOR-DTYPE",
    `Cannot ${action}: ${tensors[0].describe()} and ${odd.describe()} differ in dtype`,
    `Bring them to one dtype with cast(…, "${tensors[0].dtype}").`,
  );
}

/** Raises unless `position` is one i32: where a run begins, kept in a tensor so that a replay can change it. */
export function checkPosition(action: string, position: Tensor): void {
  checkDType(action, position, ["i32"]);
  if (position.size !== 1) {
    shapeError(action, `the position is ${position.describe()}`, "It must be i32 [1].");
  }
}

/** Raises unless `starts`, where given, has one i32 for each row of the batch. */
export function checkStarts(action: string, starts: Tensor | undefined, batch: number): void {
  if (!starts) return;
  checkDType(action, starts, ["i32"]);
  checkExactShape(action, "starts", starts, [batch]);
}
