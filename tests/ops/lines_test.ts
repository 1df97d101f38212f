import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { argmax, layerNorm, max, mean, rmsNorm, softmax, sum, topkMask } from "../../sdk/ops/mod.ts";
import type { Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, floatDTypes, valuesOn } from "../helpers/parity.ts";
import { values } from "../helpers/random.ts";
import { onAdapter } from "./on_adapter.ts";

/** Lines and their lengths: some shared by 8, 64 or 256 lanes, loads by four and by one, some of them without work. */
const SHAPES = [[1, 512], [1, 513], [3, 130], [2, 2052], [1, 4100], [1, 1025], [5, 33]];

describe("lines shared by a workgroup", () => {
  gpuForFile();

  const OPERATORS: Record<string, (x: Tensor, w: Tensor, b: Tensor) => Tensor> = {
    rmsNorm: (x, w) => rmsNorm(x, w, 1e-5),
    layerNorm: (x, w, b) => layerNorm(x, w, b, 1e-5),
    softmax: (x) => softmax(x),
    sum: (x) => sum(x, -1),
    mean: (x) => mean(x, -1),
    max: (x) => max(x, -1),
    argmax: (x) => argmax(x),
    topkMask: (x) => topkMask(x, 5, true),
  };
  for (const [name, operator] of Object.entries(OPERATORS)) {
    for (const software of [true, false]) {
      it(`${name}() agrees with its reference on a ${software ? "software" : "real"} adapter`, () =>
        onAdapter(software, async () => {
          for (const dtype of floatDTypes()) {
            for (const [lines, width] of SHAPES) {
              await assertParity(
                operator as (...t: Tensor[]) => Tensor,
                [
                  {
                    shape: [lines, width],
                    // Few different values, so that the first of equals matters, none of which cancel in a sum.
                    data: values(lines * width, width, { spread: 4 }).map((v) =>
                      Math.abs(Math.round(v * 8) / 8)
                    ),
                  },
                  { shape: [width], data: values(width, 1) },
                  { shape: [width], data: values(width, 2) },
                ],
                dtype,
                { relative: dtype === "f16" ? 2 ** -10 : 1e-5, absolute: dtype === "f16" ? 1e-4 : 1e-6 },
              );
            }
          }
        }));
    }
  }

  it("walks lines of more rounds than a software adapter's loops have", async () => {
    const ones = (...shape: number[]) => [{ shape, data: new Float32Array(shape[0] * shape[1]).fill(1) }];
    for (const shape of [[70_000, 2], [130_001, 1]]) {
      assertEquals((await valuesOn("webgpu", (x) => sum(x, 0), ones(...shape))).data[0], shape[0]);
      const { data } = await valuesOn("webgpu", (x) => softmax(x, 0), ones(...shape));
      assertEquals(data.findIndex((v) => Math.abs(v * shape[0] - 1) > 1e-3), -1);
    }
    const many = new Float32Array(9 * 70_001);
    for (let line = 0; line < 9; line++) many[line * 70_001 + 69_000 + line] = 1;
    const { data } = await valuesOn("webgpu", (x) => argmax(x), [{ shape: [9, 70_001], data: many }]);
    assertEquals(data, Array.from({ length: 9 }, (_, line) => 69_000 + line));
  });

  for (const software of [true, false]) {
    it(`argmax() finds the first of equals and no NaN on a ${software ? "software" : "real"} adapter`, () =>
      onAdapter(software, async () => {
        for (const width of [1024, 1025]) {
          for (const [first, second] of [[3, 900], [777, 778], [63, 64], [0, width - 1]]) {
            const data = new Float32Array(width).fill(-Infinity);
            data.fill(NaN, 100, 300);
            data[first] = data[second] = -7;
            for (const dtype of floatDTypes()) {
              const run = (x: Tensor) => argmax(x);
              const found = await valuesOn("webgpu", run, [{ shape: [1, width], data }], dtype);
              assertEquals(found.data, [first]);
            }
          }
          const nothing = [{ shape: [width], data: new Float32Array(width).fill(NaN) }];
          assertEquals((await valuesOn("webgpu", (x) => argmax(x), nothing)).data, [0]);
        }
      }));

    it(`max() is NaN where there is one on a ${software ? "software" : "real"} adapter`, () =>
      onAdapter(software, async () => {
        const data = values(2 * 1024, 1);
        data[1024 + 700] = NaN;
        const found = await valuesOn("webgpu", (x) => max(x, 1), [{ shape: [2, 1024], data }]);
        assertEquals(found.data, [Math.max(...data.subarray(0, 1024)), NaN]);
      }));
  }
});
