import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { conv2d } from "../../sdk/ops/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, floatDTypes, valuesOn } from "../helpers/parity.ts";
import { seed, size, values } from "../helpers/random.ts";

const count = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

describe("conv2d()", () => {
  gpuForFile();

  it("agrees with its reference: strides, padding, dilation, groups, odd sizes, empty batches", async () => {
    const shapes = fc.record({
      batch: size(0, 3),
      groups: size(1, 3),
      inGroup: size(1, 3),
      outGroup: size(1, 3),
      image: fc.tuple(size(5, 9), size(5, 9)),
      kernel: fc.tuple(size(1, 3), size(1, 3)),
      stride: fc.tuple(size(1, 3), size(1, 3)),
      padding: fc.tuple(size(0, 2), size(0, 2)),
      dilation: fc.tuple(size(1, 2), size(1, 2)),
      bias: fc.boolean(),
    });
    for (const dtype of floatDTypes()) {
      await fc.assert(
        fc.asyncProperty(shapes, seed, async (s, from) => {
          const input = [s.batch, s.groups * s.inGroup, ...s.image];
          const weight = [s.groups * s.outGroup, s.inGroup, ...s.kernel];
          await assertParity(
            (input, weight, bias) => conv2d(input, weight, s.bias ? bias : undefined, s),
            [
              { shape: input, data: values(count(input), from) },
              { shape: weight, data: values(count(weight), from + 1) },
              { shape: [weight[0]], data: values(weight[0], from + 2) },
            ],
            dtype,
            { relative: dtype === "f16" ? 2 ** -10 : 2e-6, absolute: 1e-5 },
          );
        }),
        { numRuns: 40 },
      );
    }
  });

  it("slides a weight over an image, and does not flip it", async () => {
    for (const device of ["webgpu", "reference"] as const) {
      const image = { shape: [1, 1, 3, 3], data: [1, 2, 3, 4, 5, 6, 7, 8, 9] };
      const weight = { shape: [1, 1, 2, 2], data: [1, 0, 0, 10] };
      const run = (options: object) => (x: Tensor, w: Tensor) => conv2d(x, w, undefined, options);
      assertEquals(await valuesOn(device, run({}), [image, weight]), {
        shape: [1, 1, 2, 2],
        dtype: "f32",
        data: [51, 62, 84, 95],
      });
      const { shape, data } = await valuesOn(device, run({ padding: 1, stride: 2 }), [image, weight]);
      assertEquals([shape, data], [[1, 1, 2, 2], [10, 30, 70, 95]]);
    }
  });

  it("refuses what does not fit, by name", () => {
    const [x, w] = [[1, 4, 5, 5], [6, 2, 3, 3]].map((shape) => Tensor.empty(shape, { device: "meta" }));
    const bias = Tensor.empty([5], { device: "meta" });
    const mistakes: [() => unknown, string][] = [
      [() => conv2d(x, w, undefined), "in 1 groups"],
      [() => conv2d(x, w, undefined, { groups: 4 }), "in 4 groups"],
      [() => conv2d(x, w, bias, { groups: 2 }), "the bias"],
      [() => conv2d(x, w, undefined, { groups: 2, dilation: 3 }), "does not fit into an input"],
      [() => conv2d(x, w, undefined, { groups: 2, stride: 0 }), "stride is 0"],
      [() => conv2d(x, w, undefined, { groups: 2, padding: [1, -1] }), "padding is [1,-1]"],
      [() => conv2d(x, w, undefined, { groups: 0 }), "0 groups"],
      [() => conv2d(x.reshape([4, 5, 5]), w, undefined), "[B, C, H, W]"],
    ];
    for (const [call, message] of mistakes) assertThrows(call, KernelwrightError, message);
    assertEquals(conv2d(x, w, undefined, { groups: 2 }).shape, [1, 6, 3, 3]);
  });
});
