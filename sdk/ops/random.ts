/** Random numbers by counting: each is a hash of where it is needed, so that there is no state and any order will do. */

/**
 * A number of 32 bits: «pcg4d» of Jarzynski and Olano, Hash Functions for GPU Rendering (2020), its first word.
 * The twin of `hash` in `wgsl/sample.wgsl`.
 */
export function hash(x: number, y: number, z: number, w: number): number {
  const v = [x, y, z, w].map((n) => (Math.imul(n, 1664525) + 1013904223) >>> 0);
  const add = (to: number, a: number, b: number) => v[to] = (v[to] + Math.imul(v[a], v[b])) >>> 0;
  for (const round of [0, 1]) {
    if (round === 1) v.forEach((n, i) => v[i] = (n ^ (n >>> 16)) >>> 0);
    add(0, 1, 3);
    add(1, 2, 0);
    add(2, 0, 1);
    add(3, 1, 2);
  }
  return v[0];
}

/** A number of Gumbel's distribution, −log(−log(u)), from 23 of the bits. */
export function gumbel(bits: number): number {
  return -Math.log(-Math.log(((bits >>> 9) + 0.5) / 2 ** 23));
}
