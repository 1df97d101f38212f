/**
 * Half-precision floats as bits, exactly: every f16 and bf16 value, NaN payloads too, survives the way to f32 and
 * back. Native conversions would do for numbers, but may change the bits of a NaN.
 */
export { narrowBF16, widenBF16 } from "../../tensor/mod.ts";

/** Widens f16 bits to f32 bits. */
export function widenF16(from: Uint16Array, to: Uint32Array): void {
  const table = f16Table();
  for (let i = 0; i < from.length; i++) to[i] = table[from[i]];
}

/** Narrows f32 bits to f16 bits, to the nearest, ties to even. */
export function narrowF16(from: Uint32Array, to: Uint16Array): void {
  for (let i = 0; i < from.length; i++) to[i] = f16Bits(from[i]);
}

// ---------------------------------------------------------------------------

let table: Uint32Array | undefined;

function f16Table(): Uint32Array {
  if (table) return table;
  table = new Uint32Array(65536);
  for (let h = 0; h < 65536; h++) table[h] = f32Bits(h);
  return table;
}

function f32Bits(h: number): number {
  const sign = (h & 0x8000) << 16;
  const exponent = (h >>> 10) & 0x1f;
  const mantissa = h & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (mantissa << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (mantissa << 13);
  if (mantissa === 0) return sign;
  const shift = Math.clz32(mantissa) - 21; // brings the leading one to bit 10
  return sign | ((113 - shift) << 23) | (((mantissa << shift) & 0x3ff) << 13);
}

function f16Bits(x: number): number {
  const sign = (x >>> 16) & 0x8000;
  const abs = x & 0x7fffffff;
  if (abs > 0x7f800000) return sign | 0x7c00 | ((abs >>> 13) & 0x3ff || 0x200);
  if (abs >= 0x477ff000) return sign | 0x7c00; // 65520 and more
  if (abs >= 0x38800000) return sign | ((abs + 0xfff + ((abs >>> 13) & 1) - 0x38000000) >>> 13);
  if (abs < 0x33000000) return sign; // below half of the smallest subnormal
  const shift = 126 - (abs >>> 23);
  const mantissa = (abs & 0x7fffff) | 0x800000;
  const [kept, lost, half] = [mantissa >>> shift, mantissa & ((1 << shift) - 1), 1 << (shift - 1)];
  return sign | (kept + (lost > half || (lost === half && (kept & 1) === 1) ? 1 : 0));
}
