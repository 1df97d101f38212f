import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { linear, matmul } from "../../sdk/ops/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { withChoice } from "../../sdk/ops/matmul/choice.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, floatDTypes, valuesOn } from "../helpers/parity.ts";
import { seed, size, values } from "../helpers/random.ts";

describe("linear()", () => {
  gpuForFile();

  const depths = fc.constantFrom(0, 1, 3, 4, 7, 64, 172, 255);

  it("agrees with its reference at every number of rows, columns and depth", async () => {
    for (const dtype of floatDTypes()) {
      await fc.assert(
        fc.asyncProperty(
          size(),
          size(),
          depths,
          fc.boolean(),
          seed,
          async (rows, columns, depth, bias, from) => {
            await assertParity((x, w, b) => linear(x, w, bias ? b : undefined), [
              { shape: [rows, depth], data: values(rows * depth, from, { outliers: true }) },
              { shape: [columns, depth], data: values(columns * depth, from + 1) },
              { shape: [columns], data: values(columns, from + 2) },
            ], dtype);
          },
        ),
        { numRuns: 40 },
      );
    }
  });

  // Every block of linear.ts, with a part past its end.
  for (const rows of [1, 2, 3, 7, 11, 15, 18]) {
    it(`fills blocks of ${rows} rows, and no more than there are`, async () => {
      for (const [columns, depth] of [[3, 8], [50, 5], [300, 4]]) {
        await assertParity(linear, [
          { shape: [rows, depth], data: values(rows * depth, 1) },
          { shape: [columns, depth], data: values(columns * depth, 2) },
          { shape: [columns], data: values(columns, 3) },
        ], "f32");
      }
    });
  }

  it("has smaller blocks for adapters with registers of their own", async () => {
    const info = gpu().info as { software?: boolean };
    const { software } = info;
    info.software = false;
    try {
      for (const rows of [1, 2, 3, 8, 13]) {
        await assertParity(linear, [
          { shape: [rows, 12], data: values(rows * 12, 1) },
          { shape: [150, 12], data: values(150 * 12, 2) },
          { shape: [150], data: values(150, 3) },
        ], "f32");
      }
    } finally {
      info.software = software;
    }
  });

  it("keeps leading dimensions", async () => {
    const { shape } = await valuesOn("webgpu", linear, [
      { shape: [2, 1, 3, 4], data: values(24, 1) },
      { shape: [5, 4], data: values(20, 2) },
    ]);
    assertEquals(shape, [2, 1, 3, 5]);
  });

  it("multiplies with the transposed weight", async () => {
    for (const device of ["webgpu", "reference"] as const) {
      const { data } = await valuesOn(device, linear, [
        { shape: [1, 2], data: [1, 2] },
        { shape: [3, 2], data: [1, 0, 0, 1, 3, 4] },
        { shape: [3], data: [100, 200, 300] },
      ]);
      assertEquals(data, [101, 202, 311]);
    }
  });

  it("says which weight would fit", () => {
    const x = Tensor.empty([2, 64], { device: "meta", name: "hidden_states" });
    const weight = Tensor.empty([172, 63], { device: "meta", name: "gate_proj.weight" });
    assertEquals(
      assertThrows(() => linear(x, weight), KernelwrightError).message,
      "KW-TENSOR-SHAPE\n" +
        '  Cannot run linear: x is "hidden_states" f32 [2, 64] and the weight "gate_proj.weight" f32 [172, 63]\n' +
        "  The weight must be [N, 64].",
    );
  });
});

describe("every choice for products", () => {
  gpuForFile();

  // Tiles of 64 by 64 with parts past the end, slices of 16 too; a single row; nothing to sum up.
  const SIZES = [[1, 70, 20], [65, 3, 33], [64, 128, 16], [130, 67, 40], [17, 18, 0]];
  for (const family of ["block 16x16", "block 8x8", "tile"] as const) {
    it(`linear() agrees with its reference by ${family}`, async () => {
      for (const dtype of floatDTypes()) {
        for (const [rows, columns, depth] of SIZES) {
          await assertParity((x, w, b) => withChoice(family, () => linear(x, w, rows % 2 ? b : undefined)), [
            { shape: [rows, depth], data: values(rows * depth, 1, { outliers: true }) },
            { shape: [columns, depth], data: values(columns * depth, 2) },
            { shape: [columns], data: values(columns, 3) },
          ], dtype);
        }
      }
    });

    it(`matmul() agrees with its reference by ${family}, batches broadcast`, async () => {
      for (const dtype of floatDTypes()) {
        for (const [rows, columns, depth] of SIZES) {
          for (const [a, b] of [[[], []], [[2, 1], [3]], [[], [2]]]) {
            const shapes = [[...a, rows, depth], [...b, depth, columns]];
            await assertParity(
              (a, b) => withChoice(family, () => matmul(a, b)),
              shapes.map((shape, i) => ({
                shape,
                data: values(shape.reduce((x, y) => x * y, 1), i + 1, { outliers: i === 0 }),
              })),
              dtype,
            );
          }
        }
      }
    });
  }
});

// A software adapter ends the loops of an invocation after 65,535 rounds. Numbers whose sums are exact in f32.
describe("products deeper than a software adapter's loops", () => {
  gpuForFile();

  const exact = (size: number) => Float32Array.from({ length: size }, (_, i) => i % 1009 === 0 ? 1 : 0);
  for (
    const [family, depth] of [["block 16x16", 300_000], ["block 8x8", 300_001], ["tile", 60_000]] as const
  ) {
    it(`are summed to the end by ${family} of depth ${depth}`, async () => {
      for (const dtype of floatDTypes()) {
        const [x, w, bias] = [[2, depth], [3, depth], [3]].map((shape) => ({
          shape,
          data: exact(shape.reduce((a, b) => a * b, 1)),
        }));
        const tolerance = { relative: dtype === "f16" ? 2 ** -11 : 0 };
        await assertParity(
          (...t) => withChoice(family, () => linear(t[0], t[1], t[2])),
          [x, w, bias],
          dtype,
          tolerance,
        );
        for (const columns of [3, 4]) {
          const b = { shape: [depth, columns], data: exact(depth * columns) };
          await assertParity(
            (...t) => withChoice(family, () => matmul(t[0], t[1])),
            [x, b],
            dtype,
            tolerance,
          );
        }
      }
    });
  }
});

describe("matmul()", () => {
  gpuForFile();

  it("agrees with its reference, batches broadcast", async () => {
    const batches = fc.constantFrom(
      [[], []],
      [[2], [2]],
      [[3, 1], [2]],
      [[], [2, 2]],
      [[1, 2], [3, 1]],
      [[0], [1]],
    );
    for (const dtype of floatDTypes()) {
      await fc.assert(
        fc.asyncProperty(
          batches,
          size(0, 17),
          size(0, 33),
          size(0, 17),
          seed,
          async ([ba, bb], m, k, n, from) => {
            const [a, b] = [[...ba, m, k], [...bb, k, n]];
            await assertParity(
              matmul,
              [a, b].map((shape, i) => ({
                shape,
                data: values(shape.reduce((x, y) => x * y, 1), from + i, { outliers: i === 0 }),
              })),
              dtype,
            );
          },
        ),
        { numRuns: 50 },
      );
    }
  });

  it("multiplies rows with columns", async () => {
    for (const device of ["webgpu", "reference"] as const) {
      const { data } = await valuesOn(device, matmul, [
        { shape: [2, 2], data: [1, 2, 3, 4] },
        { shape: [2, 2], data: [5, 6, 7, 8] },
      ]);
      assertEquals(data, [19, 22, 43, 50]);
    }
  });

  it("says which sizes must be equal", () => {
    const [a, b] = [[2, 3], [4, 5]].map((shape) => Tensor.empty(shape, { device: "meta" }));
    assertEquals(
      assertThrows(() => matmul(a, b), KernelwrightError).message,
      "KW-TENSOR-SHAPE\n  Cannot run matmul: a tensor f32 [2, 3] times a tensor f32 [4, 5]\n" +
        "  The last size of the first, 3, must be the last but one of the second, 4.",
    );
  });
});
