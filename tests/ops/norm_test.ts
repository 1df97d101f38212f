import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { layerNorm, rmsNorm, softmax } from "../../sdk/ops/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { assertClose } from "../helpers/assert_close.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, floatDTypes, valuesOn } from "../helpers/parity.ts";
import { seed, shapeOf, size, values } from "../helpers/random.ts";

const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

describe("norms", () => {
  gpuForFile();

  const NORMS = {
    rmsNorm: (x: Tensor, w: Tensor) => rmsNorm(x, w, 1e-5),
    "rmsNorm with 1 added to the weight": (x: Tensor, w: Tensor) => rmsNorm(x, w, 1e-5, 1),
    layerNorm: (x: Tensor, w: Tensor, b: Tensor) => layerNorm(x, w, b, 1e-5),
    "layerNorm without bias": (x: Tensor, w: Tensor) => layerNorm(x, w, undefined, 1e-5),
  };
  for (const [name, operator] of Object.entries(NORMS)) {
    it(`${name} agrees with its reference, outliers of ±800 included`, async () => {
      for (const dtype of floatDTypes()) {
        await fc.assert(
          fc.asyncProperty(shapeOf(0, 2), size(1), seed, async (rows, width, from) => {
            const shape = [...rows, width];
            await assertParity(
              operator as (...t: Tensor[]) => Tensor,
              [
                { shape, data: values(count(shape), from, { outliers: true }) },
                { shape: [width], data: values(width, from + 1) },
                { shape: [width], data: values(width, from + 2) },
              ],
              dtype,
              { relative: dtype === "f16" ? 2 ** -10 : 1e-5 },
            );
          }),
          { numRuns: 40 },
        );
      }
    });
  }

  it("rmsNorm() of rows of no elements has no elements", async () => {
    assertEquals(
      (await valuesOn("webgpu", NORMS.rmsNorm, [{ shape: [3, 0], data: [] }, { shape: [0], data: [] }])).data,
      [],
    );
  });

  it("rmsNorm() adds its offset to the weight", async () => {
    for (const device of ["webgpu", "reference"] as const) {
      const run = (x: Tensor, w: Tensor) => rmsNorm(x, w, 0, 1);
      const { data } = await valuesOn(device, run, [
        { shape: [2], data: [1, 7] },
        { shape: [2], data: [0, 1] },
      ]);
      assertClose(data, [0.2, 2.8], { relative: 1e-6 });
    }
  });

  it("rmsNorm() divides by the root of the mean square", async () => {
    for (const device of ["webgpu", "reference"] as const) {
      const run = (x: Tensor, w: Tensor) => rmsNorm(x, w, 0);
      const { data } = await valuesOn(device, run, [{ shape: [2], data: [1, 7] }, {
        shape: [2],
        data: [1, 2],
      }]);
      assertClose(data, [0.2, 2.8], { relative: 1e-6 }); // the mean square is 25
    }
  });

  it("layerNorm() takes the variance of all elements", async () => {
    for (const device of ["webgpu", "reference"] as const) {
      const run = (x: Tensor, w: Tensor, b: Tensor) => layerNorm(x, w, b, 0);
      const { data } = await valuesOn(device, run, [
        { shape: [2], data: [1, 5] }, // mean 3, variance 4
        { shape: [2], data: [1, 2] },
        { shape: [2], data: [10, 20] },
      ]);
      assertClose(data, [9, 22], { relative: 1e-6 });
    }
  });

  it("rmsNorm() says which weight would fit", () => {
    const x = Tensor.empty([2, 64], { device: "meta" });
    const weight = Tensor.empty([65], { device: "meta", name: "norm.weight" });
    assertEquals(
      assertThrows(() => rmsNorm(x, weight, 1e-5), KernelwrightError).message,
      'KW-TENSOR-SHAPE\n  Cannot run rmsNorm: the weight is "norm.weight" f32 [65]\n  It must be [64].',
    );
  });
});

describe("softmax()", () => {
  gpuForFile();

  it("agrees with its reference along every dimension, outliers of ±800 included", async () => {
    for (const dtype of floatDTypes()) {
      await fc.assert(
        fc.asyncProperty(shapeOf(1, 3), fc.nat(2), seed, async (shape, dim, from) => {
          const data = values(count(shape), from, { outliers: true, spread: 4 });
          await assertParity((x) => softmax(x, dim % shape.length), [{ shape, data }], dtype, {
            relative: dtype === "f16" ? 2 ** -10 : 1e-5,
            absolute: 1e-7,
          });
        }),
        { numRuns: 40 },
      );
    }
  });

  it("gives a masked element nothing", async () => {
    const { data } = await valuesOn("webgpu", (x) => softmax(x), [{
      shape: [3],
      data: [-Infinity, 0, Math.log(3)],
    }]);
    assertClose(data, [0, 0.25, 0.75], { relative: 1e-6 });
  });

  it("refuses a dimension that is not there", () => {
    assertEquals(
      assertThrows(() => softmax(Tensor.empty([2, 3], { device: "meta" }), 2), KernelwrightError).message,
      "KW-TENSOR-SHAPE\n  Cannot run softmax: dimension 2 of a tensor of rank 2\n" +
        "  Give a dimension from -2 to 1.",
    );
  });
});
