/** Numbers from a seed, so that a failure can be had again. */
import { checkArgument } from "../arguments.ts";

/**
 * A source of numbers in [0, 1): Mulberry32 (Tommy Ettinger 2017), whose whole state is its seed.
 *
 * @example
 * ```ts
 * import { randomSource } from "@kernelwright/sdk/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const [a, b] = [randomSource(7), randomSource(7)];
 * assertEquals([a(), a()], [b(), b()]);
 * ```
 */
export function randomSource(seed: number): () => number {
  checkArgument("randomSource(): seed", seed, "a number");
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * The value of an element.
 *
 * @param index Its flat index. @param random A source of numbers in [0, 1). @param input Which input of forward it
 * belongs to; undefined for a parameter.
 */
export type Fill = (index: number, random: () => number, input?: number) => number;

/** The names of {@linkcode FILLS}. */
export type FillName = "usual" | "large" | "tiny" | "outliers" | "zeros";

/**
 * How inputs are filled in the checks.
 *
 * @example
 * ```ts
 * import { FILLS, randomSource } from "@kernelwright/sdk/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const random = randomSource(1);
 * const values = Float32Array.from({ length: 4 }, (_, i) => FILLS.outliers(i, random));
 * assertEquals(Math.abs(values[3]), 800);
 * ```
 */
export const FILLS: Readonly<Record<FillName, Fill>> = {
  /** Between -2 and 2. */
  usual: (_i, random) => drawn(random) * 4 - 2,
  /** Up to 1e15: squares stay in f32's range. For f16, 6e4. */
  large: (_i, random) => (drawn(random) * 2 - 1) * 1e15,
  /** Around 1e-4: an epsilon of 1e-6 inside a root weighs a hundred times more than the squares. */
  tiny: (_i, random) => (drawn(random) * 2 - 1) * 1e-4,
  /** Usual values, and ±800 here and there: f16 sums of squares overflow, and leave no NaN behind. */
  outliers: (i, random) =>
    Number.isInteger(i) && i % 7 === 3 ? (drawn(random) < 0.5 ? 800 : -800) : drawn(random) * 4 - 2,
  /** All zero. */
  zeros: () => 0,
};

function drawn(random: () => number): number {
  checkArgument("a fill: random", random, "a function");
  return random();
}
