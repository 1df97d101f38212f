import { fail } from "@std/assert";
import { formatShape, type Shape, stridesOf } from "../../sdk/tensor/mod.ts";

/** How close is close. An element may be off by `absolute + relative · |expected|`. */
export interface Tolerance {
  /** Part of the expected value. */
  readonly relative: number;
  /** On top of that; defaults to `relative` times the largest expected value. */
  readonly absolute?: number;
}

/**
 * Fails unless every number is close to the expected one. NaN is close to NaN alone, an infinity to itself.
 *
 * @param shape For the message, which names the worst element by its indices.
 */
export function assertClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance,
  shape: Shape = [expected.length],
): void {
  if (actual.length !== expected.length) fail(`got ${actual.length} values, and expected ${expected.length}`);
  const { relative } = tolerance;
  const absolute = tolerance.absolute ?? relative * largest(expected);
  let [worst, worstAt, wrong] = [1, -1, 0];
  for (let i = 0; i < expected.length; i++) {
    const allowed = absolute + relative * Math.abs(expected[i]);
    const share = shareOfAllowed(actual[i], expected[i], allowed);
    if (share > 1) wrong++;
    if (share > worst) [worst, worstAt] = [share, i];
  }
  if (worstAt < 0) return;
  const off = Math.abs(actual[worstAt] - expected[worstAt]);
  fail(
    `${wrong} of ${expected.length} values of ${formatShape(shape)} are off. The worst, at ${
      indices(worstAt, shape)
    }: got ${actual[worstAt]}, expected ${expected[worstAt]}, off by ${off.toExponential(2)}, allowed ${
      (absolute + relative * Math.abs(expected[worstAt])).toExponential(2)
    }`,
  );
}

// ---------------------------------------------------------------------------

function shareOfAllowed(actual: number, expected: number, allowed: number): number {
  if (Object.is(actual, expected) || actual === expected) return 0;
  const off = Math.abs(actual - expected) / allowed;
  return Number.isFinite(expected) && Number.isFinite(actual) ? off : Infinity;
}

function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) most = Math.max(most, Math.abs(values[i]));
  }
  return most;
}

function indices(at: number, shape: Shape): string {
  const strides = stridesOf(shape);
  return formatShape(shape.map((n, d) => Math.floor(at / strides[d]) % n));
}
