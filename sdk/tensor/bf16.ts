/**
 * Numbers as bf16, the upper half of an f32, bit by bit: JavaScript has no array for it. NaN payloads survive.
 */

import { checkInstance } from "../arguments.ts";

/** Widens bf16 bits to f32 bits. */
export function widenBF16(from: Uint16Array, to: Uint32Array): void {
  checkInstance("widenBF16(): from", from, Uint16Array);
  checkInstance("widenBF16(): to", to, Uint32Array);
  for (let i = 0; i < from.length; i++) to[i] = from[i] << 16;
}

/** Narrows f32 bits to bf16 bits, to the nearest, ties to even. */
export function narrowBF16(from: Uint32Array, to: Uint16Array): void {
  checkInstance("narrowBF16(): from", from, Uint32Array);
  checkInstance("narrowBF16(): to", to, Uint16Array);
  for (let i = 0; i < from.length; i++) {
    const x = from[i];
    const high = x >>> 16;
    const nan = (x & 0x7fffffff) > 0x7f800000;
    // A NaN whose payload lies in the low half must not become infinity.
    if (nan) to[i] = (high & 0x7f) === 0 ? high | 0x40 : high;
    else to[i] = (x + 0x7fff + (high & 1)) >>> 16;
  }
}
