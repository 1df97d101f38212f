/** Operators held against their references with values from everywhere that floats reach: infinities, NaN, −0 too. */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { argmax, attention, layerNorm, max, rmsNorm, sample, softmax, topkMask } from "../../sdk/ops/mod.ts";
import type { Tensor } from "../../sdk/tensor/mod.ts";
import { assertClose } from "../helpers/assert_close.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, valuesOn } from "../helpers/parity.ts";
import { random, seed, size } from "../helpers/random.ts";
import { onAdapter } from "./on_adapter.ts";

const BOTH = ["webgpu", "reference"] as const;
const LARGEST = 3.4028234663852886e38;
const LEVELS = [0, 1, -1, 1e4, -1e4, 1e19, -1e19, 1e30, -1e30, 3e38, -3e38, -3.2e38, LARGEST, -LARGEST];
const ODD = [-0, 0, Infinity, -Infinity, NaN, LARGEST, -LARGEST];

/** Rows that lie somewhere in the range of f32, with ties, and with some that are no ordinary numbers. */
function rows(count: number, width: number, from: number, odd = ODD): number[] {
  const next = random(from);
  const pick = (list: readonly number[]) => list[Math.floor(next() * list.length)];
  return Array.from({ length: count }, () => {
    const level = pick(LEVELS);
    const spread = next() < 0.5 ? Math.abs(level) * 1e-6 + 1 : Math.abs(level) / 4 + 1;
    const rate = next() < 0.5 ? 0 : next() < 0.5 ? 0.1 : 1;
    return Array.from({ length: width }, () => {
      if (next() < rate && odd.length > 0) return pick(odd);
      const v = Math.fround(level + spread * Math.round(next() * 8 - 4) / 4);
      return Math.max(-LARGEST, Math.min(LARGEST, v));
    });
  }).flat();
}

describe("operators over the whole range of floats", () => {
  gpuForFile();

  it("softmax() of four times the smallest float is a quarter each", async () => {
    for (const device of BOTH) {
      for (const v of [-LARGEST, -3.0e38, -3.3e38, LARGEST]) {
        const { data } = await valuesOn(device, (x) => softmax(x), [{ shape: [4], data: [v, v, v, v] }]);
        assertEquals(data, [0.25, 0.25, 0.25, 0.25]);
      }
    }
  });

  it("softmax() of nothing but −∞ is NaN", async () => {
    for (const device of BOTH) {
      const { data } = await valuesOn(device, (x) => softmax(x), [{
        shape: [3],
        data: Array(3).fill(-Infinity),
      }]);
      assertEquals(data, [NaN, NaN, NaN]);
    }
  });

  for (const software of [true, false]) {
    const where = software ? "a software adapter" : "a real adapter";
    it(`softmax(), max(), argmax() and topkMask() agree with their references on ${where}`, () =>
      onAdapter(software, async () => {
        const widths = fc.constantFrom(1, 2, 3, 4, 7, 8, 33, 512, 2048);
        await fc.assert(
          fc.asyncProperty(widths, seed, async (width, from) => {
            const x = { shape: [3, width], data: rows(3, width, from) };
            await assertParity((x) => softmax(x), [x], "f32", { relative: 1e-5, absolute: 1e-7 });
            await assertParity((x) => max(x, -1), [x], "f32");
            await assertParity((x) => argmax(x), [x], "f32");
            if (width <= 512) {
              await assertParity((x) => topkMask(x, Math.ceil(width / 3), false), [x], "f32");
            }
          }),
          { numRuns: 60 },
        );
      }));
  }

  for (const software of [true, false]) {
    it(`attention() agrees with its reference on ${software ? "a software" : "a real"} adapter`, () =>
      onAdapter(software, async () => {
        // Scores of one number times another, so that they reach as far as f32 does and no further.
        await fc.assert(
          fc.asyncProperty(fc.constantFrom(1, 3, 40, 300), seed, async (keys, from) => {
            const k = rows(1, keys, from, [-0, 0, LARGEST, -LARGEST]);
            await assertParity(
              (q, k, v, position) => attention(q, k, v, { position, causal: true, scale: 1 }),
              [
                { shape: [1, 2, 2, 1], data: [1, 1, 1, 1] },
                { shape: [1, keys, 1, 1], data: k },
                { shape: [1, keys, 1, 1], data: k.map((_, i) => i % 7 + 1) },
                { shape: [1], data: [keys - 2], dtype: "i32" },
              ],
              "f32",
              { relative: 1e-5 },
            );
          }),
          { numRuns: 40 },
        );
      }));
  }

  it("attention() to keys of a score of −∞ alone gives zeros, as to no key at all", async () => {
    for (const software of [true, false]) {
      await onAdapter(software, async () => {
        for (const device of BOTH) {
          for (const keys of [3, 300]) {
            const { data } = await valuesOn(
              device,
              (q, k, v, position) => attention(q, k, v, { position, causal: false }),
              [
                { shape: [1, 1, 1, 1], data: [1] },
                { shape: [1, keys, 1, 1], data: Array(keys).fill(-Infinity) },
                { shape: [1, keys, 1, 1], data: Array(keys).fill(5) },
                { shape: [1], data: [0], dtype: "i32" },
              ],
            );
            assertEquals(data, [0]);
          }
        }
      });
    }
  });

  it("topkMask() keeps exactly k, NaN first", async () => {
    const long = Array(1200).fill(0.5);
    const cases: [number[], number, number[]][] = [
      [[0.125, NaN, 0.75, 0.25], 2, [0, NaN, 0.75, 0]],
      [[NaN, 0.5, NaN, NaN], 2, [NaN, 0, NaN, 0]],
      [[-Infinity, NaN, Infinity], 1, [0, NaN, 0]],
      [[Infinity, Infinity, -Infinity], 1, [Infinity, 0, 0]],
      [[0.3, NaN, 0.3, ...long], 2, [0, NaN, 0, 0.5, ...Array(1199).fill(0)]],
    ];
    for (const device of BOTH) {
      for (const [data, k, expected] of cases) {
        const got = await valuesOn(device, (x) => topkMask(x, k, false), [{ shape: [1, data.length], data }]);
        assertEquals(got.data, expected);
      }
    }
  });

  it("sample() draws an infinite logit, and the largest where the temperature is tiny", async () => {
    const options = [{}, { topP: 0.5 }, { topK: 1 }, { temperature: 1e-6 }, {
      temperature: 1e-38,
      topP: 0.9,
    }];
    const cases = [
      [[1, Infinity, 2], 1],
      [[-LARGEST, -3e38, -LARGEST], 1],
      [[NaN, -Infinity, -LARGEST], 2],
      [
        [LARGEST, 1, -LARGEST],
        0,
      ],
      [[NaN, NaN], 0],
      [[-Infinity, -Infinity], 0],
    ] as const;
    for (const device of BOTH) {
      for (const how of options) {
        for (const [data, expected] of cases) {
          const got = await valuesOn(
            device,
            (x, position) => sample(x, position, how),
            [{ shape: [1, data.length], data }, { shape: [1], data: [3], dtype: "i32" }],
          );
          assertEquals(got.data, [expected], `${device} ${JSON.stringify(how)} ${data}`);
        }
      }
    }
  });

  for (const width of [4096, 16384]) {
    it(`layerNorm() of ${width} values far from zero loses nothing of their mean`, async () => {
      for (const software of [true, false]) {
        await onAdapter(software, async () => {
          for (const ratio of [1, 1e3, 5e4, 2e5, 1e6]) {
            const next = random(width + ratio);
            const data = Array.from({ length: 2 * width }, () => Math.fround(ratio + (next() * 2 - 1) * 1.7));
            const ones = Array(width).fill(1);
            await assertParity(
              (x, w) => layerNorm(x, w, undefined, 1e-5),
              [{ shape: [2, width], data }, { shape: [width], data: ones }],
              "f32",
              { relative: 1e-5, absolute: 1e-5 },
            );
          }
        });
      }
    });
  }

  it("norms agree with their references wherever squares do not overflow, infinities and NaN included", async () => {
    const norms: Record<string, (x: Tensor, w: Tensor) => Tensor> = {
      rmsNorm: (x, w) => rmsNorm(x, w, 1e-5),
      layerNorm: (x, w) => layerNorm(x, w, undefined, 1e-5),
    };
    const odd = [-0, Infinity, -Infinity, NaN];
    for (const [name, norm] of Object.entries(norms)) {
      await fc.assert(
        fc.asyncProperty(size(1), seed, async (width, from) => {
          const data = rows(3, width, from, odd).map((v) =>
            Math.abs(v) > 1e15 && isFinite(v) ? v * 1e-25 : v
          );
          const inputs = [{ shape: [3, width], data }, { shape: [width], data: Array(width).fill(2) }];
          const [gpu, exact] = [
            await valuesOn("webgpu", norm, inputs),
            await valuesOn("reference", norm, inputs),
          ];
          assertClose(gpu.data, exact.data, { relative: 1e-4, absolute: 1e-3 }, [3, width]);
        }),
        { numRuns: 60 },
      ).catch((cause) => {
        throw new Error(name, { cause });
      });
    }
  });
});
