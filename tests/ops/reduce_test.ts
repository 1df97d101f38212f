import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { argmax, attention, concat, max, mean, sample, softmax, sum, topkMask } from "../../sdk/ops/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { assertClose } from "../helpers/assert_close.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, floatDTypes, roundingOf, valuesOn } from "../helpers/parity.ts";
import { seed, shapeOf, size, values } from "../helpers/random.ts";

const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const BOTH = ["webgpu", "reference"] as const;

describe("reductions", () => {
  gpuForFile();

  for (const [name, operator] of Object.entries({ sum, mean, max, argmax })) {
    it(`${name}() agrees with its reference along every dimension`, async () => {
      // A line of nothing has no largest element.
      const least = name === "max" || name === "argmax" ? 1 : 0;
      for (const dtype of floatDTypes()) {
        await fc.assert(
          fc.asyncProperty(shapeOf(1, 4, 4000, least), fc.nat(3), seed, async (shape, dim, from) => {
            // Few different values, so that the first of equals matters.
            const data = values(count(shape), from, { outliers: true }).map((v) => Math.round(v * 4) / 4);
            // ±800 cancel: what a sum is off by goes with what was added, not with what is left.
            const { relative } = roundingOf(dtype);
            await assertParity((x) => operator(x, dim % shape.length), [{ shape, data }], dtype, {
              relative,
              absolute: 1e-3 * (name === "sum" ? 1 : 0) + 1e-4,
            });
          }),
          { numRuns: 40 },
        );
      }
    });
  }

  it("sum() and mean() of nothing are 0 and NaN", async () => {
    for (const device of BOTH) {
      const nothing = [{ shape: [2, 0], data: [] }];
      assertEquals((await valuesOn(device, (x) => sum(x, 1), nothing)).data, [0, 0]);
      assertEquals((await valuesOn(device, (x) => mean(x, 1), nothing)).data, [NaN, NaN]);
    }
  });

  it("max() is NaN where there is one", async () => {
    for (const device of BOTH) {
      const x = [{ shape: [2, 3], data: [1, NaN, 3, -5, -4, -6] }];
      assertEquals((await valuesOn(device, (x) => max(x, -1), x)).data, [NaN, -4]);
    }
  });

  it("takes lines of more values than a function takes arguments, on the reference device", async () => {
    const data = Float32Array.from({ length: 300_000 }, (_, i) => i % 1000);
    using x = Tensor.from(data, { device: "reference" });
    using column = x.reshape([300_000, 1]);
    for (const operator of [sum, mean, max, argmax, softmax]) {
      for (const [t, dim] of [[x, 0], [column, 0]] as const) {
        using out = operator(t, dim);
        assert(Number.isFinite((await out.data())[0]));
      }
    }
    using keys = x.reshape([1, 300_000, 1, 1]);
    using query = Tensor.from([1], { shape: [1, 1, 1, 1], device: "reference" });
    using position = Tensor.from([0], { dtype: "i32", device: "reference" });
    using out = attention(query, keys, keys, { position, causal: false, scale: 100 });
    assertClose(Array.from(await out.data(), Number), [999], { relative: 1e-9 });
    using row = x.reshape([1, 300_000]);
    for (const options of [{}, { topK: 200_000 }, { topP: 0.5 }]) {
      using id = sample(row, position, options);
      assert((await id.data())[0] < 300_000);
    }
    using kept = topkMask(row, 200_000, true);
    assertEquals(kept.size, 300_000);
    const pieces = Array.from({ length: 150_000 }, () => query);
    using joined = concat(pieces, 0);
    assertEquals(joined.shape, [150_000, 1, 1, 1]);
  });

  it("argmax() takes the first of equals, and never a NaN", async () => {
    for (const device of BOTH) {
      const lines = [[1, 3, 3, 2], [NaN, -5, NaN, -4], [-Infinity, NaN, -Infinity, NaN], [
        NaN,
        NaN,
        NaN,
        NaN,
      ]];
      const { data, dtype } = await valuesOn(device, (x) => argmax(x), [{
        shape: [4, 4],
        data: lines.flat(),
      }]);
      assertEquals(data, [1, 3, 0, 0]);
      assertEquals(dtype, "i32");
    }
  });

  it("argmax() refuses a dimension of no elements", () => {
    assertEquals(
      assertThrows(() => argmax(Tensor.empty([2, 0], { device: "meta" })), KernelwrightError).message,
      "KW-TENSOR-SHAPE\n  Cannot run argmax: dimension -1 of a tensor f32 [2, 0] has no elements\n" +
        "  Nothing has no largest one.",
    );
  });
});

describe("topkMask()", () => {
  gpuForFile();

  it("agrees with its reference", async () => {
    for (const dtype of floatDTypes()) {
      await fc.assert(
        fc.asyncProperty(
          size(0, 33),
          size(1, 33),
          fc.nat(40),
          fc.boolean(),
          seed,
          async (n, e, k, normalize, from) => {
            const data = values(n * e, from).map((v) => Math.abs(Math.round(v * 8) / 8)); // many equals
            await assertParity((x) => topkMask(x, 1 + k % e, normalize), [{ shape: [n, e], data }], dtype);
          },
        ),
        { numRuns: 40 },
      );
    }
  });

  it("keeps the first of equals, and divides by their sum", async () => {
    for (const device of BOTH) {
      const x = [{ shape: [2, 4], data: [0.1, 0.4, 0.4, 0.1, 0.25, 0.25, 0.25, 0.25] }];
      assertEquals((await valuesOn(device, (x) => topkMask(x, 1, true), x)).data, [0, 1, 0, 0, 1, 0, 0, 0]);
      const { data } = await valuesOn(device, (x) => topkMask(x, 3, true), x);
      assertClose(data, [1 / 9, 4 / 9, 4 / 9, 0, 1 / 3, 1 / 3, 1 / 3, 0], { relative: 1e-6 });
    }
  });

  it("leaves a row of zeros alone", async () => {
    for (const device of BOTH) {
      const { data } = await valuesOn(device, (x) => topkMask(x, 2, true), [{
        shape: [1, 3],
        data: [0, 0, 0],
      }]);
      assertEquals(data, [0, 0, 0]);
    }
  });

  it("chooses experts as Mixtral does: softmax, the two largest, their share", async () => {
    const run = (x: Tensor) => topkMask(softmax(x), 2, true);
    const { data } = await valuesOn("webgpu", run, [{
      shape: [1, 4],
      data: [0, Math.log(6), Math.log(2), 0],
    }]);
    assertClose(data, [0, 0.75, 0.25, 0], { relative: 1e-5 });
  });

  // Longer rows than each element can be compared with each, with runs of equals across the lanes' borders.
  for (const [rows, columns, k] of [[2, 1001, 1], [3, 1100, 700], [1, 5000, 4999], [1, 100_000, 33_333]]) {
    it(`searches rows of ${columns} for the ${k} largest`, async () => {
      for (const dtype of floatDTypes()) {
        for (const normalize of [false, true]) {
          const data = values(rows * columns, k).map((v) => Math.round(v * 8) / 8 + 4);
          await assertParity((x) => topkMask(x, k, normalize), [{ shape: [rows, columns], data }], dtype, {
            relative: dtype === "f16" ? 2 ** -10 : 1e-5,
            absolute: dtype === "f16" ? 1e-7 : 0,
          });
        }
      }
    });
  }

  it("refuses rows that a software adapter would not come to the end of", async () => {
    using x = Tensor.zeros([1, 500_000]);
    const error = assertThrows(() => topkMask(x, 2, true), KernelwrightError);
    assertStringIncludes(error.message, "A software adapter searches 426496 at most.");
    await Promise.resolve();
  });

  it("refuses more than there are", () => {
    assertEquals(
      assertThrows(() => topkMask(Tensor.empty([2, 8], { device: "meta" }), 9, true), KernelwrightError)
        .message,
      "KW-TENSOR-SHAPE\n  Cannot run topkMask: the 9 largest of 8\n  Give a k from 1 to 8.",
    );
  });
});
