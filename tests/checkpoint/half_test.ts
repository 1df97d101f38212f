import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { narrowBF16, narrowF16, widenBF16, widenF16 } from "../../sdk/checkpoint/safetensors/half.ts";

const ALL = Uint16Array.from({ length: 65536 }, (_, i) => i);

describe("half precision", () => {
  it("f16 widens to what the platform says, for every value that is a number", () => {
    const wide = new Uint32Array(65536);
    widenF16(ALL, wide);
    const [ours, native] = [new Float32Array(wide.buffer), new Float16Array(ALL.buffer)];
    for (let i = 0; i < 65536; i++) {
      if (!Number.isNaN(native[i])) assertEquals(Object.is(ours[i], native[i]), true, `f16 bits ${i}`);
      else assertEquals(Number.isNaN(ours[i]), true, `f16 bits ${i}`);
    }
  });

  it("every f16 value comes back with the same bits, NaN payloads too", () => {
    const [wide, narrow] = [new Uint32Array(65536), new Uint16Array(65536)];
    widenF16(ALL, wide);
    narrowF16(wide, narrow);
    assertEquals(narrow, ALL);
  });

  it("every bf16 value comes back with the same bits, NaN payloads too", () => {
    const [wide, narrow] = [new Uint32Array(65536), new Uint16Array(65536)];
    widenBF16(ALL, wide);
    assertEquals(wide.every((bits, i) => bits === i * 65536), true);
    narrowBF16(wide, narrow);
    assertEquals(narrow, ALL);
  });

  it("f32 narrows to f16 as the platform rounds", () => {
    const check = (bits: number) => {
      const [wide, narrow] = [Uint32Array.of(bits), new Uint16Array(1)];
      const value = new Float32Array(wide.buffer)[0];
      narrowF16(wide, narrow);
      const ours = new Float16Array(narrow.buffer)[0];
      return Object.is(ours, Math.f16round(value));
    };
    fc.assert(fc.property(fc.integer({ min: 0, max: 0xffffffff }), check), { numRuns: 5000 });
    // Where f16 has values: exponents from 2^-26 to 2^16, and the middles between two of them.
    const near = fc.tuple(
      fc.integer({ min: 101, max: 143 }),
      fc.integer({ min: 0, max: 2047 }),
      fc.integer({ min: -1, max: 1 }),
    );
    fc.assert(fc.property(near, ([e, m, d]) => check(((e << 23) | (m << 12)) + d)), { numRuns: 20000 });
  });

  it("f32 narrows to the nearest bf16, ties to even, and a NaN stays one", () => {
    const narrowed = (...bits: number[]) => {
      const out = new Uint16Array(bits.length);
      narrowBF16(Uint32Array.from(bits), out);
      return [...out];
    };
    assertEquals(narrowed(0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff), [0x3f80, 0x3f82, 0x3f81, 0x3f80]);
    assertEquals(narrowed(0x7f7fffff, 0x7f800000, 0x7f800001, 0xff800001), [0x7f80, 0x7f80, 0x7fc0, 0xffc0]);
  });
});
