import * as fc from "fast-check";

/** Sizes that are not multiples of any workgroup or block; nothing and one among them. */
export const SIZES = [0, 1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 33, 65];

/** A size from {@linkcode SIZES}, `atLeast` or larger, and at most `atMost`. */
export function size(atLeast = 0, atMost = 65): fc.Arbitrary<number> {
  return fc.constantFrom(...SIZES.filter((n) => n >= atLeast && n <= atMost));
}

/** A shape of `rank` sizes with at most `most` elements. */
export function shapeOf(minRank: number, maxRank: number, most = 4000, atLeast = 0): fc.Arbitrary<number[]> {
  return fc.array(size(atLeast), { minLength: minRank, maxLength: maxRank })
    .filter((shape) => shape.reduce((a, b) => a * b, 1) <= most);
}

/** What values come from: the same seed gives the same ones, so a counterexample is two numbers. */
export const seed: fc.Arbitrary<number> = fc.integer({ min: 1, max: 2 ** 30 });

/** A generator of numbers in [0, 1) (mulberry32). */
export function random(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** How {@linkcode values} are drawn. */
export interface ValueOptions {
  /** The largest of the ordinary ones; defaults to 1. */
  readonly spread?: number;
  /** One in sixteen is ±800, as activations of large models are. */
  readonly outliers?: boolean;
}

/** `count` numbers that every float dtype holds exactly. */
export function values(
  count: number,
  from: number,
  { spread = 1, outliers }: ValueOptions = {},
): Float32Array {
  const next = random(from);
  return Float32Array.from({ length: count }, () => {
    if (outliers && next() < 1 / 16) return next() < 0.5 ? -800 : 800;
    return Math.f16round((next() * 2 - 1) * spread);
  });
}
