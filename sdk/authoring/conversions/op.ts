/**
 * A conversion op is a list of block copies.
 *
 *   concatenate(0) of q [4, 8], k [2, 8]        q ──copy──► rows 0..3 ┐
 *                                               k ──copy──► rows 4..5 ┘ [6, 8]
 *
 * Each move says which block of which input goes where in which output, as strides. The reverse is the same moves
 * with the roles exchanged, so nothing can be reversed wrongly, and nothing needs to know which op it is: the
 * planner, the loader and the saver ask the bound op for its properties.
 */
import { checkFields } from "../../arguments.ts";
import { KernelwrightError } from "../../errors.ts";
import type { ErrorCode } from "../../error_codes.ts";
import { formatSpec, sameShape, type TensorSpec } from "../../tensor/mod.ts";
import type { StridedRegion } from "../../ops/mod.ts";
import { regionSize, simplifyRegion, swapRegion } from "./region.ts";

/** One step of a conversion, as its author wrote it. */
export interface ConversionOp {
  /** The op's name, e.g. `concatenate`. */
  readonly name: string;
  /** What it was given, JSON-able: for `kernel.json` and reports. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /**
   * Fixes the op to its inputs: all that can be wrong is found here, before any tensor has values.
   *
   * @throws KW-CONVERT-SHAPE, KW-CONVERT-DTYPE, KW-CONVERT-AMBIGUOUS
   */
  bind(inputs: readonly TensorSpec[]): BoundOp;
}

/** A block of one input that becomes a block of one output. */
export interface Move {
  /** Which input. */
  readonly input: number;
  /** Which output. */
  readonly output: number;
  /** Where the elements lie in both. */
  readonly region: StridedRegion;
}

/** An op that knows the shapes of its inputs. */
export interface BoundOp {
  /** How messages call it, e.g. `concatenate(dim: 0)`. */
  readonly label: string;
  /** What goes in. */
  readonly inputs: readonly TensorSpec[];
  /** What comes out. An output's dtype may differ from its input's: then the values are converted. */
  readonly outputs: readonly TensorSpec[];
  /** The copies. Together they write every element of every output, unless there is a `fill`. */
  readonly moves: readonly Move[];
  /** The value of output elements that no move writes. */
  readonly fill?: number;
  /** The op that gives the inputs back; undefined where there is none. */
  reverse(): BoundOp | undefined;
}

/** What {@linkcode bindMoves} is told besides shapes and moves. */
export interface MoveOptions {
  /** The value of output elements that no move writes. */
  readonly fill?: number;
}

/** The bound op that makes these moves. Its reverse makes them backwards. */
export function bindMoves(
  op: ConversionOp,
  inputs: readonly TensorSpec[],
  outputs: readonly TensorSpec[],
  moves: readonly Move[],
  options: MoveOptions = {},
): BoundOp {
  const tidy = moves.filter((m) => regionSize(m.region) > 0)
    .map((m) => ({ ...m, region: simplifyRegion(m.region) }));
  const label = describeOp(op);
  const forth: BoundOp = {
    label,
    inputs,
    outputs,
    moves: tidy,
    fill: options.fill,
    reverse: () => back,
  };
  const back: BoundOp = {
    label: `the reverse of ${label}`,
    inputs: outputs,
    outputs: inputs,
    moves: tidy.map((m) => ({ input: m.output, output: m.input, region: swapRegion(m.region) })),
    reverse: () => forth,
  };
  return forth;
}

/** Checks that an op is one. @throws KW-ARGUMENT */
export function checkOp(at: string, op: ConversionOp): void {
  checkFields(at, op, { name: "a string", parameters: "an object", bind: "a function" });
}

/**
 * `concatenate(dim: 0)`, as messages show an op.
 *
 * @example
 * ```ts
 * import { concatenate } from "@kernelwright/sdk";
 * import { describeOp } from "@kernelwright/sdk/inspect";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(describeOp(concatenate(1)), "concatenate(dim: 1)");
 * ```
 */
export function describeOp(op: ConversionOp): string {
  checkOp("describeOp(): op", op);
  const shown = Object.entries(op.parameters).filter(([, v]) => v !== undefined);
  return `${op.name}(${shown.map(([k, v]) => `${k}: ${JSON.stringify(v)}`).join(", ")})`;
}

/** Raises what is wrong with an op's inputs, which are listed in the message. */
export function refuse(
  op: ConversionOp,
  inputs: readonly TensorSpec[],
  why: string,
  fix?: string,
  code: ErrorCode = "KW-CONVERT-SHAPE",
): never {
  const shown = inputs.slice(0, 6).map(formatSpec).join(", ") +
    (inputs.length > 6 ? ` and ${inputs.length - 6} more` : "");
  throw new KernelwrightError({
    code,
    what: `Cannot apply ${describeOp(op)} to ${shown || "no tensor"}: ${why}`,
    fix,
  });
}

/** A dimension counted from the front; refuses one that a tensor of this rank lacks. */
export function dimOf(op: ConversionOp, inputs: readonly TensorSpec[], dim: number, rank: number): number {
  const d = dim < 0 ? dim + rank : dim;
  if (Number.isInteger(d) && d >= 0 && d < rank) return d;
  return refuse(
    op,
    inputs,
    `there is no dimension ${dim} in a tensor of rank ${rank}`,
    rank === 0 ? "A scalar has no dimensions." : `Give a dimension from ${-rank} to ${rank - 1}.`,
  );
}

/** Refuses more or fewer than one input, for ops whose results could not be told apart. */
export function onlyInput(op: ConversionOp, inputs: readonly TensorSpec[]): TensorSpec {
  if (inputs.length === 1) return inputs[0];
  return refuse(
    op,
    inputs,
    "it takes one tensor, since the parts of several could not be told apart",
    "Write one conversion for each source.",
    inputs.length === 0 ? "KW-CONVERT-SHAPE" : "KW-CONVERT-AMBIGUOUS",
  );
}

/** Refuses inputs that differ in shape or dtype, or no inputs; returns the spec that they share. */
export function sameSpecs(op: ConversionOp, inputs: readonly TensorSpec[]): TensorSpec {
  const first = inputs[0] ?? refuse(op, inputs, "it takes at least one tensor");
  const odd = inputs.findIndex((s) => !sameShape(s.shape, first.shape) || s.dtype !== first.dtype);
  if (odd < 0) return first;
  return refuse(
    op,
    inputs,
    `tensor ${odd + 1} of ${inputs.length} is ${formatSpec(inputs[odd])}, and the first is ${
      formatSpec(first)
    }`,
    "Give tensors of one shape and dtype.",
  );
}
