/** Inputs that every process makes for itself, the same everywhere. */

/** `n` numbers between -1 and 1, times `size`. */
export function numbers(n: number, seed: number, size = 1): Float32Array<ArrayBuffer> {
  const made = new Float32Array(n);
  let state = (seed * 2654435761) >>> 0;
  for (let i = 0; i < n; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    made[i] = (state / 2 ** 31 - 1) * size;
  }
  return made;
}

/** The same, as they are after a trip through f16 where `dtype` says so. */
export function numbersAs(dtype: string, n: number, seed: number, size = 1): Float32Array<ArrayBuffer> {
  const made = numbers(n, seed, size);
  return dtype === "f16" ? Float32Array.from(Float16Array.from(made)) : made;
}

/** Cosine or sine of each token's angle for each pair of a rotary embedding: `[tokens, size / 2]`. */
export function rotations(
  tokens: number,
  size: number,
  of: (angle: number) => number,
): Float32Array<ArrayBuffer> {
  const pairs = size / 2;
  const angle = (i: number) => Math.floor(i / pairs) * 10000 ** (-(i % pairs) / pairs);
  return Float32Array.from({ length: tokens * pairs }, (_, i) => of(angle(i)));
}

/** At most `count` places of an output of `size` numbers, its first and last among them. */
export function places(size: number, count = 97): number[] {
  if (size <= count) return Array.from({ length: size }, (_, i) => i);
  return Array.from({ length: count }, (_, i) => Math.round(i * (size - 1) / (count - 1)));
}
