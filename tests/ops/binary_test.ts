import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { add, div, mul, sub } from "../../sdk/ops/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, floatDTypes, valuesOn } from "../helpers/parity.ts";
import { seed, shapeOf, values } from "../helpers/random.ts";

const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

describe("binary operators", () => {
  gpuForFile();

  // Each of the two keeps some of the common sizes and has 1 instead of the others; one may lack leading ones.
  const shapes = fc.record({
    full: shapeOf(0, 5, 3000),
    maskA: fc.integer({ min: 0, max: 31 }),
    maskB: fc.integer({ min: 0, max: 31 }),
    dropped: fc.integer({ min: 0, max: 2 }),
  }).map(({ full, maskA, maskB, dropped }) => ({
    a: full.map((n, d) => (maskA >> d) & 1 ? 1 : n),
    b: full.map((n, d) => (maskB >> d) & 1 ? 1 : n).slice(Math.min(dropped, full.length)),
  }));

  for (const [name, operator] of Object.entries({ add, sub, mul, div })) {
    it(`${name}() broadcasts as its reference does`, async () => {
      for (const dtype of floatDTypes()) {
        await fc.assert(
          fc.asyncProperty(shapes, seed, async ({ a, b }, from) => {
            const right = values(count(b), from + 1, { outliers: true }).map((v) => v === 0 ? 1 : v);
            await assertParity(operator, [
              { shape: a, data: values(count(a), from, { outliers: true }) },
              { shape: b, data: right },
            ], dtype);
          }),
          { numRuns: 40 },
        );
      }
    });
  }

  it("sub() takes the second from the first, row by row", async () => {
    const { data, shape } = await valuesOn("webgpu", sub, [
      { shape: [2, 3], data: [1, 2, 3, 4, 5, 6] },
      { shape: [3], data: [1, 10, 100] },
    ]);
    assertEquals(shape, [2, 3]);
    assertEquals(data, [0, -8, -97, 3, -5, -94]);
  });

  it("add() takes one tensor twice", async () => {
    const { data } = await valuesOn("webgpu", (x) => add(x, x), [{ shape: [2], data: [1, 2] }]);
    assertEquals(data, [2, 4]);
  });

  it("add() says which shapes do not broadcast", () => {
    const [a, b] = [[2, 3], [4, 1, 2]].map((shape) => Tensor.empty(shape, { device: "meta" }));
    assertEquals(
      assertThrows(() => add(a, b), KernelwrightError).message,
      "KW-TENSOR-SHAPE\n  Cannot run add: [2, 3] and [4, 1, 2] do not broadcast\n" +
        "  Sizes must be equal or 1 in each dimension; counted from the end, dimension 1 has 3 and 2.",
    );
  });

  it("mul() says how to bring two dtypes together", () => {
    const a = Tensor.empty([2], { device: "meta", name: "x" });
    const b = Tensor.empty([2], { device: "meta", dtype: "f16", name: "y" });
    assertEquals(
      assertThrows(() => mul(a, b), KernelwrightError).message,
      'KW-TENSOR-DTYPE\n  Cannot run mul: "x" f32 [2] and "y" f16 [2] differ in dtype\n' +
        '  Bring them to one dtype with cast(…, "f32").',
    );
  });
});
