import { showValue } from "../arguments.ts";
import { raise } from "../errors.ts";
import { checkDTypeName, type DType, DTYPES } from "./dtype.ts";

/** The sizes of a tensor's dimensions, outermost first. `[]` is a scalar. */
export type Shape = readonly number[];

/** Shape and dtype: all that the meta device knows of a tensor. */
export interface TensorSpec {
  /** The sizes of the dimensions. */
  readonly shape: Shape;
  /** The element type. */
  readonly dtype: DType;
}

/** The number of elements. */
export function numel(shape: Shape): number {
  let n = 1;
  if (!Array.isArray(shape)) refuseShape(shape);
  for (const d of shape) n *= typeof d === "number" ? d : NaN;
  return n;
}

/** The number of bytes that a tensor of this spec takes in a file. */
export function byteLength(spec: TensorSpec): number {
  checkSpec(spec);
  return numel(spec.shape) * DTYPES[spec.dtype].bytes;
}

/** Row-major strides, in elements. */
export function stridesOf(shape: Shape): number[] {
  if (!Array.isArray(shape)) refuseShape(shape);
  const strides = new Array<number>(shape.length);
  let n = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = n;
    n *= typeof shape[i] === "number" ? shape[i] : NaN;
  }
  return strides;
}

/** Whether two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  if (!Array.isArray(a)) refuseShape(a);
  if (!Array.isArray(b)) refuseShape(b);
  return a.length === b.length && a.every((d, i) => d === b[i]);
}

/** `[2, 3]`, as messages show it. */
export function formatShape(shape: Shape): string {
  return Array.isArray(shape) ? `[${shape.map(showSize).join(", ")}]` : showValue(shape);
}

/** `f32 [2, 3]`, as messages show it. */
export function formatSpec(spec: TensorSpec): string {
  if (typeof spec !== "object" || spec === null) refuseShape(spec);
  return `${typeof spec.dtype === "string" ? spec.dtype : showValue(spec.dtype)} ${formatShape(spec.shape)}`;
}

/**
 * Checks that every dimension is a whole number that is not negative, and the product is a safe integer.
 *
 * @throws KW-TENSOR-SHAPE
 */
export function checkShape(shape: Shape): void {
  if (!Array.isArray(shape)) refuseShape(shape);
  for (let i = 0; i < shape.length; i++) { // by index: a hole is a size that is missing
    if (!Number.isSafeInteger(shape[i]) || shape[i] < 0) refuseShape(shape);
  }
  if (!Number.isSafeInteger(numel(shape))) refuseShape(shape);
}

/**
 * Checks a shape and a dtype.
 *
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 */
export function checkSpec(spec: TensorSpec): void {
  if (typeof spec !== "object" || spec === null) refuseShape(spec);
  checkShape(spec.shape);
  checkDTypeName(spec.dtype);
}

/**
 * The shape that both broadcast to (the rule of NumPy: aligned at the last dimension, size 1 stretches).
 *
 * @throws KW-TENSOR-SHAPE
 */
export function broadcastShapes(a: Shape, b: Shape, action: string): number[] {
  if (!Array.isArray(a)) refuseShape(a);
  if (!Array.isArray(b)) refuseShape(b);
  const rank = Math.max(a.length, b.length);
  const out = new Array<number>(rank);
  for (let i = 0; i < rank; i++) {
    const da = a[a.length - rank + i] ?? 1;
    const db = b[b.length - rank + i] ?? 1;
    if (typeof da !== "number" || typeof db !== "number") refuseShape(typeof da === "number" ? b : a);
    if (da !== db && da !== 1 && db !== 1) {
      raise(
        "KW-TENSOR-SHAPE",
        `Cannot ${typeof action === "string" ? action : "broadcast"}: ${formatShape(a)} and ${
          formatShape(b)
        } do not broadcast`,
        `Sizes must be equal or 1 in each dimension; counted from the end, dimension ${
          rank - i
        } has ${da} and ${db}.`,
      );
    }
    out[i] = da === 1 ? db : da;
  }
  return out;
}

/** Turns a negative dimension into its positive one; raises KW-TENSOR-SHAPE when out of range. */
export function resolveDim(dim: number, rank: number, action: string): number {
  const d = typeof dim === "number" && dim < 0 ? dim + rank : dim;
  if (!Number.isInteger(d) || d < 0 || d >= rank) {
    raise(
      "KW-TENSOR-SHAPE",
      `Cannot ${typeof action === "string" ? action : "go on"}: dimension ${
        showValue(dim)
      } of a tensor of rank ${showValue(rank)}`,
      rank === 0
        ? "A scalar has no dimensions."
        : `Give a dimension from -${showValue(rank)} to ${typeof rank === "number" ? rank - 1 : "?"}.`,
    );
  }
  return d;
}

// ---------------------------------------------------------------------------

function refuseShape(shape: unknown): never {
  raise(
    "KW-TENSOR-SHAPE",
    `Cannot make a tensor of shape ${formatShape(shape as Shape)}`,
    "Give whole, non-negative sizes whose product is below 2^53.",
  );
}

function showSize(size: unknown): string {
  return typeof size === "number" ? String(size) : showValue(size);
}
