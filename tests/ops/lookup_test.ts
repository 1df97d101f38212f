import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { cast, embedding } from "../../sdk/ops/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, floatDTypes, valuesOn } from "../helpers/parity.ts";
import { random, seed, size, values } from "../helpers/random.ts";

const BOTH = ["webgpu", "reference"] as const;

describe("embedding()", () => {
  gpuForFile();

  it("agrees with its reference", async () => {
    for (const dtype of floatDTypes()) {
      for (const ids of ["i32", "u32"] as const) {
        await fc.assert(
          fc.asyncProperty(
            size(0, 7),
            size(0, 17),
            size(1),
            size(0),
            seed,
            async (batch, tokens, rows, width, from) => {
              const next = random(from);
              const data = Array.from({ length: batch * tokens }, () => Math.floor(next() * rows));
              await assertParity(
                embedding,
                [
                  { shape: [batch, tokens], data, dtype: ids },
                  { shape: [rows, width], data: values(rows * width, from) },
                ],
                dtype,
                { relative: 0, absolute: 0 },
              );
            },
          ),
          { numRuns: 20 },
        );
      }
    }
  });

  const weight = { shape: [3, 2], data: [1, 2, 3, 4, 5, 6] };

  it("takes the rows that the ids name", async () => {
    for (const device of BOTH) {
      const { data, shape } = await valuesOn(device, embedding, [
        { shape: [1, 3], data: [2, 0, 2], dtype: "i32" },
        weight,
      ]);
      assertEquals(data, [5, 6, 1, 2, 5, 6]);
      assertEquals(shape, [1, 3, 2]);
    }
  });

  it("gives zeros for an id out of range on the GPU", async () => {
    const { data } = await valuesOn("webgpu", embedding, [
      { shape: [3], data: [3, -1, 1], dtype: "i32" },
      weight,
    ]);
    assertEquals(data, [0, 0, 0, 0, 3, 4]);
  });

  it("raises for an id out of range on the reference device", () => {
    const ids = Tensor.from(Int32Array.of(0, 3), { device: "reference" });
    const table = Tensor.from(weight.data, { shape: weight.shape, device: "reference" });
    assertEquals(
      assertThrows(() => embedding(ids, table), KernelwrightError).message,
      "KW-TENSOR-DATA\n  Cannot run embedding: id 3, at place 1, of a table of 3 rows\n" +
        "  Ids go from 0 to 2; does the tokenizer belong to this model?",
    );
  });
});

describe("cast()", () => {
  gpuForFile();

  it("agrees with its reference between all numbers", async () => {
    const dtypes = gpu().features.has("shader-f16")
      ? ["f32", "f16", "i32", "u32"] as const
      : ["f32", "i32", "u32"] as const;
    const data = [0, 1, 2, 3, 100, 1023, 2049, 65504]; // 2049 is no f16
    for (const from of dtypes) {
      for (const to of dtypes) {
        const x = { shape: [data.length], data, dtype: from };
        await assertParity((x) => cast(x, to), [x], from, { relative: 0, absolute: 0 });
      }
    }
  });

  it("rounds floats to the nearest f16, and cuts fractions off", async () => {
    for (const device of BOTH) {
      const x = { shape: [4], data: [1.0003, -1.75, 0.1, 1e-9] };
      assertEquals((await valuesOn(device, (x) => cast(x, "i32"), [x])).data, [1, -1, 0, 0]);
      if (device === "webgpu" && !gpu().features.has("shader-f16")) continue;
      assertEquals((await valuesOn(device, (x) => cast(x, "f16"), [x])).data, x.data.map(Math.f16round));
    }
  });

  it("refuses what is not a number to a shader", () => {
    const x = Tensor.empty([2], { device: "meta", name: "x" });
    assertEquals(
      assertThrows(() => cast(x, "bf16"), KernelwrightError).message,
      'KW-TENSOR-DTYPE\n  Cannot cast "x" f32 [2] to bf16\n  Give one of f32, f16, i32, u32.',
    );
  });
});
