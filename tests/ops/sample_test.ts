import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { argmax, sample, type SampleOptions } from "../../sdk/ops/mod.ts";
import { type DeviceName, type DType, Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { floatDTypes } from "../helpers/parity.ts";
import { seed, values } from "../helpers/random.ts";
import { onAdapter } from "./on_adapter.ts";

async function draw(
  rows: readonly ArrayLike<number>[],
  options: SampleOptions,
  { position = 0, device = "webgpu" as DeviceName, dtype = "f32" as DType } = {},
): Promise<number[]> {
  const flat = rows.flatMap((row) => Array.from(row));
  const shape = [rows.length, rows[0].length];
  using logits = Tensor.from(dtype === "f16" ? Float16Array.from(flat) : Float32Array.from(flat), {
    shape,
    device,
  });
  using at = Tensor.from(new Int32Array([position]), { device });
  using ids = sample(logits, at, options);
  return [...await ids.data()];
}

/** How far the counts of draws are from their probabilities: χ², of which the mean is the number of ids less one. */
function chiSquare(drawn: readonly number[], probabilities: readonly number[]): number {
  const counts = probabilities.map((_, i) => drawn.filter((id) => id === i).length);
  return probabilities.reduce((sum, p, i) => {
    if (p === 0) {
      assertEquals(counts[i], 0, `id ${i} was cut off`);
      return sum;
    }
    return sum + (counts[i] - p * drawn.length) ** 2 / (p * drawn.length);
  }, 0);
}

function share(weights: readonly number[]): number[] {
  const all = weights.reduce((a, b) => a + b);
  return weights.map((w) => w / all);
}

const LOGITS = [0.5, 2, -1, 1.5, 0, -3, 1, 0.2];

describe("sample()", () => {
  gpuForFile();

  const cases: [string, SampleOptions, number[]][] = [
    ["as softmax says", {}, share(LOGITS.map(Math.exp))],
    ["by temperature", { temperature: 0.5, seed: 1 }, share(LOGITS.map((l) => Math.exp(l / 0.5)))],
    ["from the k largest", { topK: 3, seed: 2 }, share(LOGITS.map((l) => l >= 1 ? Math.exp(l) : 0))],
    // 0.40 + 0.24 + 0.15 + 0.09 is the first sum above 0.8.
    ["from the share p", { topP: 0.8, seed: 3 }, share(LOGITS.map((l) => l >= 0.5 ? Math.exp(l) : 0))],
    [
      "from the share p of the k largest",
      { topK: 3, topP: 0.7, seed: 4 },
      share(LOGITS.map((l) => l >= 1.5 ? Math.exp(l) : 0)),
    ],
  ];
  for (const [how, options, probabilities] of cases) {
    it(`draws ${how}`, async () => {
      const rows = Array.from({ length: 8000 }, () => LOGITS);
      const ids = probabilities.filter((p) => p > 0).length;
      // Five times the spread of χ² above its mean; the draws are the same each time.
      const most = ids - 1 + 5 * Math.sqrt(2 * (ids - 1));
      const spread = chiSquare(await draw(rows, options), probabilities);
      assert(spread < most, `χ² is ${spread}, of at most ${most}`);
    });
  }

  it("draws again at each position, and what one draws tells nothing of the next", async () => {
    const both: number[] = [];
    const probabilities = share([1, 1, 2]).flatMap((a) => share([1, 1, 2]).map((b) => a * b));
    const rows = Array.from({ length: 3000 }, () => [0, 0, Math.log(2)]);
    const [first, second] = [await draw(rows, {}, { position: 7 }), await draw(rows, {}, { position: 8 })];
    first.forEach((a, i) => both.push(3 * a + second[i]));
    assert(chiSquare(both, probabilities) < 8 + 5 * 4);
    assertEquals(await draw(rows, {}, { position: 7 }), first);
  });

  it("agrees with its reference, for any options", async () => {
    let differing = 0; // scores may lie closer together than f32 can tell, once in some 100,000 rows
    for (const dtype of floatDTypes()) {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 5 }),
          fc.integer({ min: 1, max: 300 }),
          fc.record({
            temperature: fc.double({ min: 0.1, max: 5, noNaN: true }),
            topK: fc.integer({ min: 1, max: 400 }),
            topP: fc.constantFrom(0.1, 0.37, 0.9, 1),
            seed: fc.nat(2 ** 31),
          }, { requiredKeys: [] }),
          fc.nat(1000),
          seed,
          fc.boolean(),
          async (rows, count, options, position, from, software) => {
            const all = values(rows * count, from);
            // Of few different values, so that equal ones meet the cuts; a cut never lies within rounding of a sum.
            const logits = Array.from(
              { length: rows },
              (_, r) => Array.from(all.slice(r * count, (r + 1) * count), (v) => Math.round(v * 4) / 4),
            );
            const onGpu = await onAdapter(software, () => draw(logits, options, { position, dtype }));
            const expected = await draw(logits, options, { position, device: "reference" });
            differing += onGpu.filter((id, row) => id !== expected[row]).length;
            assert(differing <= 1, `${onGpu} instead of ${expected}`);
          },
        ),
        { numRuns: 60 },
      );
    }
  });

  it("draws the largest for any share, however small", async () => {
    for (const topP of [1e-3, 1e-30, 1e-46, 5e-324]) assertEquals(await draw([[0, 1, 5, 2]], { topP }), [2]);
  });

  it("is greedy with a k of 1, of equals among all of them", async () => {
    assertEquals(await draw([[1, 3, 2], [9, -1, 4]], { topK: 1, temperature: 3 }), [1, 0]);
    const rows = Array.from({ length: 64 }, () => [5, 1, 5, 0]);
    assertEquals(new Set(await draw(rows, { topK: 1 })), new Set([0, 2]));
  });

  it("never draws −∞ or NaN, and 0 where there is nothing else", async () => {
    for (const device of ["webgpu", "reference"] as const) {
      const odd = [[-Infinity, NaN, -900, -Infinity], [NaN, NaN, -Infinity, NaN], [NaN, 800, -Infinity, 0]];
      for (const options of [{}, { topK: 2 }, { topP: 0.5 }, { topK: 3, topP: 0.9 }]) {
        assertEquals(await draw(odd, options, { device }), [2, 0, 1], JSON.stringify(options));
      }
    }
  });

  it("draws from a vocabulary of 128,256", async () => {
    const logits = Float32Array.from({ length: 128256 }, (_, i) => Math.sin(i * 0.37) * 4);
    logits[101] = logits[128255] = logits[70000] = 30;
    const drawn = new Set<number>();
    for (let s = 0; s < 12; s++) {
      (await draw([logits], { topK: 50, topP: 0.99, seed: s })).forEach((id) => drawn.add(id));
    }
    assertEquals(drawn, new Set([101, 70000, 128255]));
  });

  it("takes no rows", async () => {
    using logits = Tensor.empty([0, 8]);
    using position = Tensor.zeros([1], { dtype: "i32" });
    using ids = sample(logits, position);
    assertEquals([...await ids.data()], []);
  });

  const refusals: [SampleOptions, string][] = [
    [{ temperature: 0 }, "temperature 0"],
    [{ temperature: NaN }, "temperature NaN"],
    [{ topK: 0 }, "topK 0"],
    [{ topK: 2.5 }, "topK 2.5"],
    [{ topP: 0 }, "topP 0"],
    [{ topP: 95 }, "topP 95"],
    [{ seed: -1 }, "seed -1"],
  ];
  for (const [options, named] of refusals) {
    it(`refuses ${named}`, () => {
      using logits = Tensor.zeros([1, 4]);
      using position = Tensor.zeros([1], { dtype: "i32" });
      const error = assertThrows(() => sample(logits, position, options), KernelwrightError, named);
      assertEquals(error.code, "KW-SAMPLE-OPTION");
    });
  }
});

describe("argmax() and sample() that mark", () => {
  gpuForFile();

  const ROWS: readonly [values: number[], id: number][] = [
    [[0, 3, 1, 2, -1, 0, 0, 0], 1],
    [[0, -Infinity, 9, -Infinity, 1, -Infinity, 0, 0], 2],
    [[0, 3, NaN, 2, -1, 0, 0, 0], -1],
    [[NaN, 3, 1, 2, -1, 0, 0, 0], -1],
    [[0, 3, 1, 2, -1, 0, 0, Infinity], -1],
    [new Array(8).fill(NaN), -1],
    [new Array(8).fill(-Infinity), -1],
    [new Array(8).fill(Infinity), -1],
    [[-3e38, -3.1e38, -3e38, -3.2e38, -3.2e38, -3.2e38, -3.2e38, -3.2e38], 0],
  ];

  for (const device of ["webgpu", "reference"] as const) {
    for (const widen of [8, 5, 4096, 70_000]) {
      it(`give −1 to rows without a largest number on ${device}, ${widen} wide`, async () => {
        for (const software of [true, false]) {
          // What is odd comes last, where another lane looks; 5 cuts it off for some rows, so those are left out.
          const rows = widen === 5
            ? ROWS.filter(([v]) => v.slice(5).every((x) => x === v[0] || x === 0))
            : ROWS;
          const flat = rows.flatMap(([v]) =>
            widen === 5 ? v.slice(0, 5) : [...v, ...new Array(widen - 8).fill(v.includes(0) ? -1 : v.at(-1))]
          );
          using x = Tensor.from(Float32Array.from(flat), { shape: [rows.length, widen], device });
          using at = Tensor.zeros([1], { dtype: "i32", device });
          const [largest, drawn] = await onAdapter(software, async () => {
            using a = argmax(x, -1, true);
            using b = sample(x, at, { topK: 1 }, true);
            return [[...await a.data()], [...await b.data()]];
          });
          const ids = rows.map(([, id]) => id);
          assertEquals(largest, ids);
          assertEquals(drawn.map((id) => id < 0), ids.map((id) => id < 0));
        }
      });
    }
  }
});
