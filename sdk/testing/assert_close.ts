import { checkArgument, showValue } from "../arguments.ts";
import { KernelwrightError, raise } from "../errors.ts";
import { DTYPES, formatShape, formatSpec, sameShape, type Shape, stridesOf, Tensor } from "../tensor/mod.ts";

/** How far two tensors may be apart. */
export interface Tolerance {
  /** A share of the expected value; defaults to 1e-5. */
  readonly rtol?: number;
  /** An absolute amount; defaults to 1e-6. */
  readonly atol?: number;
  /**
   * A share of the largest expected value in the same row: what sums of many terms cancel down to. Rows of fewer than
   * 8 values are taken together until there are 8. Defaults to 0.
   */
  readonly rowtol?: number;
}

/** How far a value is from what was expected. */
export interface Mismatch {
  /** Its flat index. */
  readonly index: number;
  /** What there was. */
  readonly actual: number;
  /** What was expected. */
  readonly expected: number;
  /** How far apart they may be. */
  readonly allowed: number;
}

/**
 * Fails unless every value is within `atol + rtol · |expected|` of the expected one. NaN equals NaN, and an infinity
 * only itself.
 *
 * @param actual A tensor on any device, or its values.
 * @param expected The same number of values; a tensor also has the same shape.
 * @throws KW-TEST-CLOSE, with the worst elements and where they lie.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { exp } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([0, 1]), out = exp(x);
 * await assertClose(out, [1, Math.E], { atol: 1e-6 });
 * ```
 */
export async function assertClose(
  actual: Tensor | ArrayLike<number>,
  expected: Tensor | ArrayLike<number>,
  tolerance: Tolerance = {},
): Promise<void> {
  for (const v of [actual, expected]) {
    if (v instanceof Tensor || (ArrayBuffer.isView(v) && !(v instanceof DataView))) continue;
    checkArgument("assertClose(): a side that is no Tensor", v, "numbers in an array");
  }
  checkArgument("assertClose(): tolerance", tolerance, "an object");
  const shape = actual instanceof Tensor
    ? actual.shape
    : expected instanceof Tensor
    ? expected.shape
    : undefined;
  if (actual instanceof Tensor && expected instanceof Tensor && !sameShape(actual.shape, expected.shape)) {
    raise("KW-TEST-CLOSE", `Got ${formatSpec(actual)}, and expected ${formatSpec(expected)}`);
  }
  const [a, e] = [await valuesOf(actual), await valuesOf(expected)];
  if (a.length !== e.length) {
    raise("KW-TEST-CLOSE", `Got ${a.length} values, and expected ${e.length}`);
  }
  const wrong = mismatches(a, e, shape ?? [a.length], tolerance);
  if (wrong.length > 0) raiseMismatch(wrong, shape ?? [a.length], tolerance);
}

const LEAST_ROW = 8;

/** The elements that are too far off, worst first. `ignore` leaves some out. */
export function mismatches(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  shape: Shape,
  { rtol = 1e-5, atol = 1e-6, rowtol = 0 }: Tolerance,
  ignore?: (index: number) => boolean,
): Mismatch[] {
  // A row of one value that cancelled would be held to what is left of it.
  const short = Math.max(shape.at(-1) ?? 1, 1);
  const row = short * Math.ceil(LEAST_ROW / short);
  const found: (Mismatch & { excess: number })[] = [];
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    if (i % row === 0) {
      largest = rowtol === 0 ? 0 : largestIn(expected, i, Math.min(i + row, expected.length));
    }
    const [x, y] = [actual[i], expected[i]];
    if (Object.is(x, y) || x === y || (Number.isNaN(x) && Number.isNaN(y)) || ignore?.(i)) continue;
    const allowed = atol + rtol * Math.abs(y) + rowtol * largest;
    const off = Math.abs(x - y);
    if (Number.isFinite(y) && off <= allowed) continue;
    found.push({
      index: i,
      actual: x,
      expected: y,
      allowed,
      excess: Number.isFinite(off) ? off / allowed : Infinity,
    });
  }
  return found.sort((p, q) => p.excess === q.excess ? p.index - q.index : q.excess - p.excess);
}

/** Draws mismatches: how many, the worst ones, and where the first lies. */
export function describeMismatches(
  wrong: readonly Mismatch[],
  shape: Shape,
  tolerance: Tolerance,
): { what: string; notes: string[] } {
  const total = shape.reduce((n, d) => n * d, 1);
  const first = wrong.reduce((a, b) => b.index < a.index ? b : a);
  const shown = Object.entries(tolerance).map(([k, v]) => `${k} ${showValue(v)}`).join(", ");
  return {
    what: `${wrong.length} of ${total} values of ${formatShape(shape)} are too far off (${
      shown || "defaults"
    })`,
    notes: [
      ...wrong.slice(0, 5).map((m, i) =>
        `${i === 0 ? "worst " : "      "}${place(m.index, shape).padEnd(14)} got ${
          number(m.actual)
        }, expected ${number(m.expected)}, off by ${number(Math.abs(m.actual - m.expected))}, allowed ${
          number(m.allowed)
        }`
      ),
      `first ${place(first.index, shape)}`,
    ],
  };
}

/** A tensor's values as numbers: bf16 is widened. */
export async function valuesOf(values: Tensor | ArrayLike<number>): Promise<ArrayLike<number>> {
  if (!(values instanceof Tensor)) return values;
  const data = await values.data();
  if (values.dtype !== "bf16") return data;
  const bits = Uint32Array.from(data, (b) => b << 16);
  return new Float32Array(bits.buffer);
}

/** A value as the dtype stores it. */
export function rounded(value: number, dtype: Tensor["dtype"]): number {
  if (dtype === "f16") return Math.f16round(value);
  return DTYPES[dtype].float ? Math.fround(value) : value;
}

// ---------------------------------------------------------------------------

function raiseMismatch(wrong: readonly Mismatch[], shape: Shape, tolerance: Tolerance): never {
  const { what, notes } = describeMismatches(wrong, shape, tolerance);
  throw new KernelwrightError({ code: "KW-TEST-CLOSE", what, notes });
}

function largestIn(values: ArrayLike<number>, from: number, to: number): number {
  let largest = 0;
  for (let i = from; i < to; i++) {
    const size = Math.abs(values[i]);
    if (Number.isFinite(size) && size > largest) largest = size;
  }
  return largest;
}

/** `[0, 2, 5]`: where a flat index lies. */
function place(index: number, shape: Shape): string {
  const strides = stridesOf(shape);
  return formatShape(shape.map((d, i) => Math.floor(index / strides[i]) % d));
}

function number(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : value.toPrecision(6);
}
