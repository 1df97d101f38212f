import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { advance, attention, cacheWrite, concat } from "../../sdk/ops/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { assertClose } from "../helpers/assert_close.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, floatDTypes, valuesOn } from "../helpers/parity.ts";
import { seed, size, values } from "../helpers/random.ts";
import { onAdapter } from "./on_adapter.ts";

const BOTH = ["webgpu", "reference"] as const;
const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const i32 = (...data: number[]) => ({ shape: [data.length], data, dtype: "i32" as const });

describe("attention()", () => {
  gpuForFile();

  it("agrees with its reference: grouped heads, caches, padding, outliers", async () => {
    const shapes = fc.record({
      batch: size(0, 3),
      tokens: size(0, 8),
      keys: size(0, 17),
      keyHeads: size(1, 3),
      group: size(1, 3),
      head: fc.constantFrom(1, 5, 8, 64),
    });
    const options = fc.record({ position: fc.nat(12), causal: fc.boolean(), padded: fc.boolean() });
    for (const dtype of floatDTypes()) {
      await fc.assert(
        fc.asyncProperty(shapes, options, seed, async (s, { position, causal, padded }, from) => {
          const q = [s.batch, s.tokens, s.keyHeads * s.group, s.head];
          const k = [s.batch, s.keys, s.keyHeads, s.head];
          const starts = Array.from({ length: s.batch }, (_, b) => 2 * b);
          const run = (q: Tensor, k: Tensor, v: Tensor, position: Tensor, starts: Tensor) =>
            attention(q, k, v, { position, causal, starts: padded ? starts : undefined });
          const v = values(count(k), from + 2, { outliers: true });
          const largest = v.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
          await assertParity(
            run as (...t: Tensor[]) => Tensor,
            [
              { shape: q, data: values(count(q), from) },
              { shape: k, data: values(count(k), from + 1) },
              { shape: k, data: v },
              i32(position),
              i32(...starts),
            ],
            dtype,
            // Values of 800 and -800 may cancel: what is left is off by what the largest value is rounded by.
            { relative: dtype === "f16" ? 2 ** -10 : 2e-6, absolute: largest * 2 ** -22 },
          );
        }),
        { numRuns: 60 },
      );
    }
  });

  // Tokens, keys, heads, key heads, head size, position: chunks of keys, some of them empty; blocks with a part past
  // the end; heads that are not a multiple of four, or too long for a tile; a cache of which little is filled.
  const SHAPES = [
    [1, 300, 4, 2, 64, 290],
    [1, 300, 4, 2, 64, 2],
    [5, 290, 2, 1, 16, 200],
    [2, 520, 6, 2, 5, 500],
    [70, 70, 2, 2, 80, 0],
    [140, 140, 2, 2, 16, 0],
    [3, 9, 2, 1, 260, 5],
  ];
  for (const software of [true, false]) {
    it(`agrees with its reference in chunks and blocks on a ${software ? "software" : "real"} adapter`, () =>
      onAdapter(software, async () => {
        for (const dtype of floatDTypes()) {
          for (const [tokens, keys, heads, keyHeads, head, position] of SHAPES) {
            const [q, k] = [[2, tokens, heads, head], [2, keys, keyHeads, head]];
            for (const causal of [true, false]) {
              await assertParity(
                (q, k, v, position, starts) => attention(q, k, v, { position, causal, starts }),
                [
                  { shape: q, data: values(count(q), 1, { spread: 2 }) },
                  { shape: k, data: values(count(k), 2) },
                  { shape: k, data: values(count(k), 3) },
                  i32(position),
                  i32(0, 3),
                ],
                dtype,
                { relative: dtype === "f16" ? 2 ** -10 : 1e-5, absolute: dtype === "f16" ? 1e-4 : 1e-6 },
              );
            }
          }
        }
      }));
  }

  // Tokens, keys, heads, key heads, head size, position.
  const WINDOWED = [
    [1, 300, 4, 2, 64, 290],
    [40, 300, 4, 2, 16, 250],
    [70, 70, 2, 2, 80, 0],
    [3, 9, 2, 1, 5, 5],
  ];
  for (const software of [true, false]) {
    it(
      `agrees with its reference where a query sees a window, a mask hides keys and scores are capped, on a ${
        software ? "software" : "real"
      } adapter`,
      () =>
        onAdapter(software, async () => {
          for (const [tokens, keys, heads, keyHeads, head, position] of WINDOWED) {
            const [q, k] = [[2, tokens, heads, head], [2, keys, keyHeads, head]];
            const mask = Array.from({ length: 2 * keys }, (_, i) => i % 7 === 3 || i % 11 === 0 ? 0 : 1);
            for (
              const options of [
                { causal: true, before: 6 },
                { causal: true, before: 0, softcap: 2.5 },
                { causal: false, before: 4, after: 3 },
                { causal: false, after: 0, masked: true },
                { causal: true, before: 130, masked: true, softcap: 50 },
                { causal: false, masked: true },
              ]
            ) {
              await assertParity(
                (q, k, v, position, starts, mask) =>
                  attention(q, k, v, {
                    ...options,
                    position,
                    starts,
                    mask: "masked" in options ? mask : undefined,
                  }),
                [
                  { shape: q, data: values(count(q), 1, { spread: 2 }) },
                  { shape: k, data: values(count(k), 2) },
                  { shape: k, data: values(count(k), 3) },
                  i32(position),
                  i32(0, 3),
                  { shape: [2, keys], data: mask, dtype: position % 2 ? "u32" : "i32" },
                ],
                "f32",
                { relative: 1e-5, absolute: 5e-6 },
              );
            }
          }
        }),
    );
  }

  it("sees in a ring what it sees in a cache of full length", async () => {
    const [heads, size, before] = [2, 8, 4];
    const room = before + 1;
    for (const device of BOTH) {
      for (const software of [true, false]) {
        await onAdapter(software, async () => {
          const make = (length: number) => Tensor.zeros([2, length, heads, size], { device });
          const all = [make(60), make(60), make(room), make(room)];
          const [k, v, ringK, ringV] = all;
          let past = 0;
          for (const tokens of [3, 1, 1, 2, 9, 1, 1, 5, 1, 20, 1]) {
            const shape = [2, tokens, heads, size];
            const data = (from: number) => Float32Array.from(values(count(shape), from + past));
            using q = Tensor.from(data(1), { shape, device });
            using newK = Tensor.from(data(2), { shape, device });
            using newV = Tensor.from(data(3), { shape, device });
            using position = Tensor.from(Int32Array.of(past), { shape: [1], device });
            using starts = Tensor.from(Int32Array.of(0, 2), { shape: [2], device });
            const options = { position, starts, causal: true, before };
            cacheWrite(k, newK, position);
            cacheWrite(v, newV, position);
            using plain = attention(q, k, v, options);
            using bothK = concat([ringK, newK], 1);
            using bothV = concat([ringV, newV], 1);
            using behind = attention(q, bothK, bothV, { ...options, ring: room });
            cacheWrite(ringK, newK, position, true);
            cacheWrite(ringV, newV, position, true);
            const near = async (t: Tensor) =>
              assertClose([...await t.data()].map(Number), [...await plain.data()].map(Number), {
                relative: 1e-5,
                absolute: 1e-6,
              });
            await near(behind);
            if (tokens === 1) {
              using inside = attention(q, ringK, ringV, { ...options, ring: room });
              await near(inside);
            }
            past += tokens;
          }
          for (const t of all) t.dispose();
        });
      }
    }
  });

  it("keeps the last of what does not fit into a ring", async () => {
    for (const device of BOTH) {
      const { data } = await valuesOn(device, (values, position) => {
        const cache = Tensor.zeros([1, 3, 1, 1], { device });
        cacheWrite(cache, values, position, true);
        return cache;
      }, [{ shape: [1, 5, 1, 1], data: [1, 2, 3, 4, 5] }, i32(4)]);
      assertEquals(data, [3, 4, 5]); // places 6, 7, 8
    }
  });

  it("reads no key past the filled ones", async () => {
    // What is not filled yet is NaN here; nothing of it may reach the result.
    for (const software of [true, false]) {
      await onAdapter(software, async () => {
        const [filled, keys] = [40, 300];
        const cache = (from: number) =>
          values(filled * 16, from).values().toArray().concat(Array((keys - filled) * 16).fill(NaN));
        const { data } = await valuesOn(
          "webgpu",
          (q, k, v, position) => attention(q, k, v, { position, causal: true }),
          [
            { shape: [1, 1, 2, 16], data: values(32, 1) },
            { shape: [1, keys, 1, 16], data: cache(2) },
            { shape: [1, keys, 1, 16], data: cache(3) },
            i32(filled - 1),
          ],
        );
        assertEquals(data.filter(Number.isNaN), []);
      });
    }
  });

  it("survives scores of ±800", async () => {
    for (const dtype of floatDTypes()) {
      await assertParity((q, k, v, position) => attention(q, k, v, { position, causal: false, scale: 1 }), [
        { shape: [1, 2, 1, 1], data: [1, -1] },
        { shape: [1, 3, 1, 1], data: [-800, 800, 0] },
        { shape: [1, 3, 1, 1], data: [3, 5, 7] },
        i32(0),
      ], dtype);
    }
  });

  // Keys are unit vectors, so a score is one number of the query: ln 3 and 0 weigh 3 to 1.
  const q = { shape: [1, 2, 1, 2], data: [Math.log(3), 0, Math.log(3), 0] };
  const k = { shape: [1, 2, 1, 2], data: [1, 0, 0, 1] };
  const v = { shape: [1, 2, 1, 2], data: [4, 8, 0, 16] };
  const run = (causal: boolean) => (q: Tensor, k: Tensor, v: Tensor, position: Tensor) =>
    attention(q, k, v, { position, causal, scale: 1 });

  it("weighs values by the softmax of the scores", async () => {
    for (const device of BOTH) {
      const { data } = await valuesOn(device, run(false), [q, k, v, i32(0)]);
      assertClose(data, [3, 10, 3, 10], { relative: 1e-6 });
    }
  });

  it("hides later keys when causal", async () => {
    for (const device of BOTH) {
      const { data } = await valuesOn(device, run(true), [q, k, v, i32(0)]);
      assertClose(data, [4, 8, 3, 10], { relative: 1e-6 });
    }
  });

  it("scales by 1 / √D by default", async () => {
    for (const device of BOTH) {
      const four = (x: number[]) => x.flatMap((v) => [v, 0]);
      const { data } = await valuesOn(
        device,
        (q, k, v, position) => attention(q, k, v, { position, causal: false }),
        [
          { shape: [1, 1, 1, 4], data: four([2 * Math.log(3), 0]) },
          { shape: [1, 2, 1, 4], data: [...four([1, 0]), ...four([0, 1])] },
          { shape: [1, 2, 1, 4], data: [...four([4, 8]), ...four([0, 16])] },
          i32(0),
        ],
      );
      assertClose(data, [3, 0, 10, 0], { relative: 1e-6 });
    }
  });

  it("shares a key head among a group of neighbouring heads", async () => {
    for (const device of BOTH) {
      const { data } = await valuesOn(
        device,
        (q, k, v, position) => attention(q, k, v, { position, causal: false }),
        [
          { shape: [1, 1, 4, 1], data: [1, 1, 1, 1] },
          { shape: [1, 1, 2, 1], data: [1, 1] },
          { shape: [1, 1, 2, 1], data: [10, 20] },
          i32(0),
        ],
      );
      assertEquals(data, [10, 10, 20, 20]);
    }
  });

  it("gives zeros to a query that sees no key", async () => {
    for (const device of BOTH) {
      const padded = (q: Tensor, k: Tensor, v: Tensor, position: Tensor, starts: Tensor) =>
        attention(q, k, v, { position, causal: true, starts });
      const inputs = [q, k, v, i32(0), i32(1)];
      assertEquals((await valuesOn(device, padded as (...t: Tensor[]) => Tensor, inputs)).data, [
        0,
        0,
        0,
        16,
      ]);
    }
  });

  it("says how many heads would fit", () => {
    const meta = (...shape: number[]) => Tensor.empty(shape, { device: "meta" });
    const position = Tensor.empty([1], { device: "meta", dtype: "i32" });
    const options = { position, causal: true };
    assertEquals(
      assertThrows(
        () => attention(meta(1, 2, 5, 8), meta(1, 9, 2, 8), meta(1, 9, 2, 8), options),
        KernelwrightError,
      )
        .message,
      "KW-TENSOR-SHAPE\n  Cannot run attention: 5 heads over 2 key heads\n" +
        "  The first must be a multiple of the second.",
    );
  });
});

describe("cacheWrite() and advance()", () => {
  gpuForFile();

  it("cacheWrite() agrees with its reference", async () => {
    const shapes = fc.tuple(size(0, 3), size(0, 8), size(1, 3), size(1, 7), fc.nat(9));
    for (const dtype of floatDTypes()) {
      await fc.assert(
        fc.asyncProperty(shapes, seed, async ([batch, tokens, heads, head, position], from) => {
          const [cache, run] = [[batch, 17, heads, head], [batch, tokens, heads, head]];
          await assertParity(
            (c, v, p) => (cacheWrite(c, v, p), c),
            [
              { shape: cache, data: values(count(cache), from) },
              { shape: run, data: values(count(run), from + 1) },
              i32(position),
            ],
            dtype,
            { relative: 0, absolute: 0 },
          );
        }),
        { numRuns: 40 },
      );
    }
  });

  it("cacheWrite() drops tokens past the end, and touches nothing else", async () => {
    const write = (c: Tensor, v: Tensor, p: Tensor) => (cacheWrite(c, v, p), c);
    const inputs = [{ shape: [2, 3, 1, 1], data: [1, 2, 3, 4, 5, 6] }, {
      shape: [2, 2, 1, 1],
      data: [7, 8, 9, 10],
    }];
    assertEquals((await valuesOn("webgpu", write, [...inputs, i32(2)])).data, [1, 2, 7, 4, 5, 9]);
    assertEquals((await valuesOn("webgpu", write, [...inputs, i32(-1)])).data, [8, 2, 3, 10, 5, 6]);
  });

  it("cacheWrite() raises on the reference device when the cache is full", () => {
    const make = (shape: number[]) => Tensor.zeros(shape, { device: "reference" });
    const position = Tensor.from(Int32Array.of(2), { device: "reference" });
    assertEquals(
      assertThrows(() => cacheWrite(make([1, 3, 1, 1]), make([1, 2, 1, 1]), position), KernelwrightError)
        .message,
      "KW-TENSOR-DATA\n  Cannot run cacheWrite: 2 tokens at position 2 of a cache for 3\n" +
        "  Make the cache longer, or stop earlier.",
    );
  });

  it("advance() moves a position on, in order with what reads it", async () => {
    for (const device of BOTH) {
      const { data } = await valuesOn(device, (cache, value, position) => {
        for (let i = 0; i < 3; i++) {
          cacheWrite(cache, value, position);
          advance(position, 2);
        }
        return cache;
      }, [{ shape: [1, 6, 1, 1], data: [0, 0, 0, 0, 0, 0] }, { shape: [1, 1, 1, 1], data: [9] }, i32(0)]);
      assertEquals(data, [9, 0, 9, 0, 9, 0]);
    }
  });
});
