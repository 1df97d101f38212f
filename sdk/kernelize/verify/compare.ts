import { checkFields, refuseArgument } from "../../arguments.ts";
import type { DType } from "../../tensor/mod.ts";

/** How far a kernel's result is from the original's, on one kind of input. */
export interface Difference {
  /** What went in: `real` activations, or real ones with `outliers` (±800), or `tiny` ones (a thousandth). */
  readonly inputs: "real" | "outliers" | "tiny";
  /** The largest |kernel − original|. */
  readonly absolute: number;
  /** The largest |kernel − original| / |original|. */
  readonly relative: number;
  /** The largest |kernel − original| in units in the last place of the largest |original|. */
  readonly ulp: number;
  /** The flat index of the largest difference. */
  readonly at: number;
  /** Elements where one is a number and the other is not. */
  readonly nan: number;
  /** The kernel's largest distance from the original in float64, where that was run. */
  readonly kernelError?: number;
  /** The original's own largest distance from itself in float64: what the kernel's is to be judged by. */
  readonly originalError?: number;
  /** What was allowed: `atol + rtol · max|original|`, or twice the original's own error where that is more. */
  readonly allowed: number;
  /** Whether the difference is within what is allowed. */
  readonly passed: boolean;
  /** What the kernel does with memory that it is given and the originals write, where that is what was compared. */
  readonly written?: string;
}

/** How close a kernel must come. */
export interface Tolerance {
  /** Part of the largest |original|. */
  readonly rtol: number;
  /** On top of that. */
  readonly atol: number;
}

/**
 * The default tolerance of a dtype.
 *
 * Rounding grows with the square root of a sum's length: 6e-8 becomes 6e-6 over ten thousand terms in f32, and
 * 5e-4 stays near itself in f16 when sums are kept in f32. Ten times that is still far below a mistake in a formula.
 *
 * @example
 * ```ts
 * import { defaultTolerance } from "@kernelwright/sdk/inspect";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(defaultTolerance("f32"), { rtol: 5e-5, atol: 1e-6 });
 * ```
 */
export function defaultTolerance(dtype: DType): Tolerance {
  return dtype === "f16" ? { rtol: 5e-3, atol: 1e-4 } : { rtol: 5e-5, atol: 1e-6 };
}

/**
 * Compares two results, and both with the float64 one where there is one.
 *
 * @example
 * ```ts
 * import { compareValues, defaultTolerance } from "@kernelwright/sdk/inspect";
 * import { assertEquals } from "@std/assert";
 *
 * const [kernel, original] = [Float32Array.of(1, 2.5), Float32Array.of(1, 2)];
 * const allowed = defaultTolerance("f32");
 * const { absolute, at, passed } = compareValues(kernel, original, undefined, "f32", "real", allowed);
 * assertEquals([absolute, at, passed], [0.5, 1, false]);
 * ```
 */
export function compareValues(
  kernel: ArrayLike<number>,
  original: ArrayLike<number>,
  exact: ArrayLike<number> | undefined,
  dtype: DType,
  inputs: Difference["inputs"],
  tolerance: Tolerance,
): Difference {
  if (typeof kernel?.length !== "number") {
    refuseArgument("compareValues(): kernel", kernel, "numbers in an array");
  }
  if (typeof original?.length !== "number") {
    refuseArgument("compareValues(): original", original, "numbers in an array");
  }
  if (exact !== undefined && typeof exact?.length !== "number") {
    refuseArgument("compareValues(): exact", exact, "numbers in an array");
  }
  checkFields("compareValues(): tolerance", tolerance, { atol: "a number", rtol: "a number" });
  let [absolute, relative, at, nan, largest] = [0, 0, 0, 0, 0];
  let [kernelError, originalError] = [0, 0];
  for (let i = 0; i < original.length; i++) {
    const [k, o] = [kernel[i], original[i]];
    if (Object.is(k, o) || k === o) { if (Number.isFinite(o)) largest = Math.max(largest, Math.abs(o)); }
    else if (!Number.isFinite(k) || !Number.isFinite(o)) nan++;
    else {
      const off = Math.abs(k - o);
      largest = Math.max(largest, Math.abs(o));
      relative = Math.max(relative, off / Math.max(Math.abs(o), Number.MIN_VALUE));
      if (off > absolute) [absolute, at] = [off, i];
    }
    if (exact && Number.isFinite(exact[i])) {
      if (Number.isFinite(k)) kernelError = Math.max(kernelError, Math.abs(k - exact[i]));
      if (Number.isFinite(o)) originalError = Math.max(originalError, Math.abs(o - exact[i]));
    }
  }
  const allowed = Math.max(tolerance.atol + tolerance.rtol * largest, exact ? 2 * originalError : 0);
  return {
    inputs,
    absolute,
    relative,
    ulp: absolute / unitInLastPlace(largest, dtype),
    at,
    nan,
    ...(exact ? { kernelError, originalError } : {}),
    allowed,
    passed: nan === 0 && absolute <= allowed,
  };
}

// ---------------------------------------------------------------------------

function unitInLastPlace(x: number, dtype: DType): number {
  const bits = dtype === "f16" ? 10 : 23;
  const least = dtype === "f16" ? -14 : -126;
  return 2 ** (Math.max(least, x > 0 ? Math.floor(Math.log2(x)) : least) - bits);
}
