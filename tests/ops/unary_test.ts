import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { exp, gelu, geluTanh, neg, relu, scale, sigmoid, silu, sqrt, tanh } from "../../sdk/ops/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { assertClose } from "../helpers/assert_close.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, floatDTypes, valuesOn } from "../helpers/parity.ts";
import { seed, shapeOf, values } from "../helpers/random.ts";

const OPERATORS = {
  silu,
  gelu,
  geluTanh,
  relu,
  sigmoid,
  tanh,
  exp,
  neg,
  scale: (x: Tensor) => scale(x, -0.3),
};

/** Where exponentials overflow, cancel or vanish. */
const EXTREMES = [-800, 800, -104, 104, -89, 89, -50, 50, -12, 12, -5, 5, -1e-3, 1e-3, 0];

describe("unary operators", () => {
  gpuForFile();

  for (const [name, operator] of Object.entries(OPERATORS)) {
    it(`${name}() agrees with its reference at every shape`, async () => {
      for (const dtype of floatDTypes()) {
        await fc.assert(
          fc.asyncProperty(shapeOf(0, 3), seed, async (shape, from) => {
            const data = values(shape.reduce((a, b) => a * b, 1), from, { spread: 6 });
            await assertParity(operator, [{ shape, data }], dtype, {
              relative: dtype === "f16" ? 2 ** -10 : 3e-6,
              absolute: dtype === "f16" ? 1e-6 : 1e-7,
            });
          }),
          { numRuns: 40 },
        );
      }
    });

    it(`${name}() gives no NaN for large arguments`, async () => {
      for (const dtype of floatDTypes()) {
        const { data } = await valuesOn(
          "webgpu",
          operator,
          [{ shape: [EXTREMES.length], data: EXTREMES }],
          dtype,
        );
        assertEquals(data.findIndex(Number.isNaN), -1);
        await assertParity(operator, [{ shape: [EXTREMES.length], data: EXTREMES }], dtype, {
          relative: dtype === "f16" ? 2 ** -10 : 1e-5,
          absolute: 1e-6,
        });
      }
    });
  }

  it("relu() and neg() keep a NaN", async () => {
    for (const operator of [relu, neg]) {
      const { data } = await valuesOn("webgpu", operator, [{ shape: [2], data: [NaN, 1] }]);
      assertEquals(Number.isNaN(data[0]), true);
    }
  });

  it("sqrt() agrees with its reference", async () => {
    for (const dtype of floatDTypes()) {
      await assertParity(sqrt, [{ shape: [5], data: [0, 1, 2, 800, 1e-4] }], dtype);
    }
  });

  it("scale() of nothing is nothing", async () => {
    assertEquals((await valuesOn("webgpu", OPERATORS.scale, [{ shape: [3, 0], data: [] }])).data, []);
  });

  it("the references give the known values", async () => {
    const at = async (operator: (x: Tensor) => Tensor, x: number) =>
      (await valuesOn("reference", operator, [{ shape: [1], data: [x] }])).data[0];
    const known: [(x: Tensor) => Tensor, number, number][] = [
      [silu, 1, 0.731058578630005], // 1 / (1 + 1/e)
      [sigmoid, 0, 0.5],
      [gelu, 1, 0.841344746068543], // Φ(1)
      [gelu, -3, -0.00404969409489031], // -3 Φ(-3)
      [geluTanh, 1, 0.841191990608302],
      [tanh, 0.5, 0.462117157260010],
      [exp, 1, Math.E],
      [relu, -2, 0],
    ];
    for (const [operator, x, y] of known) assertClose([await at(operator, x)], [y], { relative: 1e-13 });
  });

  it("silu() refuses whole numbers", () => {
    const x = Tensor.empty([2], { dtype: "i32", device: "meta", name: "ids" });
    assertEquals(
      assertThrows(() => silu(x), KernelwrightError).message,
      'KW-TENSOR-DTYPE\n  Cannot run silu: "ids" i32 [2] is i32\n  It takes f32 or f16.',
    );
  });
});
