import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { positionIds } from "../../sdk/ops/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, valuesOn } from "../helpers/parity.ts";
import { random, seed, size } from "../helpers/random.ts";

describe("positionIds()", () => {
  gpuForFile();

  it("agrees with its reference", async () => {
    for (const dtype of ["i32", "u32"] as const) {
      await fc.assert(
        fc.asyncProperty(size(0, 5), size(0, 70), size(0, 3), seed, async (rows, tokens, padding, from) => {
          const next = random(from);
          const data = Array.from({ length: rows * tokens }, () => Math.floor(next() * 4));
          const ids = { shape: [rows, tokens], data, dtype };
          await assertParity((x: Tensor) => positionIds(x, padding), [ids], "f32", {
            relative: 0,
            absolute: 0,
          });
        }),
        { numRuns: 20 },
      );
    }
  });

  it("counts what is not padding, row by row", async () => {
    for (const device of ["webgpu", "reference"] as const) {
      const { data } = await valuesOn(device, (x: Tensor) => positionIds(x, 1), [
        { shape: [2, 4], data: [7, 1, 9, 0, 1, 1, 5, 1], dtype: "i32" },
      ]);
      assertEquals(data, [2, 1, 3, 4, 1, 1, 2, 1]);
    }
  });

  it("refuses ids of one dimension, and padding below 0", () => {
    const ids = Tensor.empty([2, 2], { dtype: "i32", device: "meta" });
    assertThrows(() => positionIds(ids.reshape([4]), 1), KernelwrightError, "KW-TENSOR-SHAPE");
    assertThrows(() => positionIds(ids, -1), KernelwrightError, "KW-TENSOR-SHAPE");
  });
});
