import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { rope } from "../../sdk/ops/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { assertClose } from "../helpers/assert_close.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, floatDTypes, valuesOn } from "../helpers/parity.ts";
import { seed, size, values } from "../helpers/random.ts";
import { onAdapter } from "./on_adapter.ts";

const BOTH = ["webgpu", "reference"] as const;

describe("rope()", () => {
  gpuForFile();

  it("is within 1e-5 of its reference at every position", async () => {
    const shapes = fc.tuple(size(0, 3), size(0, 7), size(0, 3), fc.constantFrom(2, 6, 16, 64, 128));
    const positions = fc.oneof(fc.nat(4096), fc.nat(1_000_000));
    const options = fc.record({
      theta: fc.constantFrom(10_000, 500_000, 1_000_000),
      interleaved: fc.boolean(),
      padded: fc.boolean(),
    });
    for (const dtype of floatDTypes()) {
      await fc.assert(
        fc.asyncProperty(
          shapes,
          positions,
          options,
          seed,
          async (shape, position, { padded, ...rest }, from) => {
            const starts = Array.from({ length: shape[0] }, (_, b) => 3 * b);
            await assertParity(
              (x, p, s) => rope(x, p, { ...rest, starts: padded ? s : undefined }),
              [
                { shape, data: values(shape.reduce((a, b) => a * b, 1), from) },
                { shape: [1], data: [position], dtype: "i32" },
                { shape: [shape[0]], data: starts, dtype: "i32" },
              ],
              dtype,
              { relative: 0, absolute: dtype === "f16" ? 2 ** -10 : 1e-6 },
            );
          },
        ),
        { numRuns: 60 },
      );
    }
  });

  // Tokens, heads, head size: a head to an invocation, several with one too few for the last, all of them; pairs by
  // fours, and one by one.
  for (const software of [true, false]) {
    it(`rotates heads together on a ${software ? "software" : "real"} adapter`, () =>
      onAdapter(software, async () => {
        for (
          const [tokens, heads, head] of [[1, 8, 8], [2, 5, 64], [9, 3, 12], [70, 3, 64], [600, 5, 64]]
        ) {
          const shape = [2, tokens, heads, head];
          await assertParity(
            (x, p) => rope(x, p, { theta: 10_000 }),
            [
              { shape, data: values(shape.reduce((a, b) => a * b, 1), 1) },
              { shape: [1], data: [4000], dtype: "i32" },
            ],
            "f32",
            { relative: 0, absolute: 1e-6 },
          );
        }
      }));
  }

  // Four numbers are two pairs; with theta = 1 both turn by one radian per position.
  const [cos, sin] = [Math.cos(2), Math.sin(2)];
  const x = { shape: [1, 1, 1, 4], data: [1, 2, 3, 5] };
  const at2 = { shape: [1], data: [2], dtype: "i32" as const };

  it("rotates the first half with the second, as Hugging Face does", async () => {
    for (const device of BOTH) {
      const { data } = await valuesOn(device, (x, p) => rope(x, p, { theta: 1 }), [x, at2]);
      assertClose(data, [cos - 3 * sin, 2 * cos - 5 * sin, 3 * cos + sin, 5 * cos + 2 * sin], {
        relative: 1e-6,
      });
    }
  });

  it("rotates neighbours when interleaved, as the paper does", async () => {
    for (const device of BOTH) {
      const { data } = await valuesOn(device, (x, p) => rope(x, p, { theta: 1, interleaved: true }), [
        x,
        at2,
      ]);
      assertClose(data, [cos - 2 * sin, 2 * cos + sin, 3 * cos - 5 * sin, 5 * cos + 3 * sin], {
        relative: 1e-6,
      });
    }
  });

  it("turns later pairs by theta^(-2i/D)", async () => {
    for (const device of BOTH) {
      const ones = { shape: [1, 1, 1, 4], data: [1, 1, 0, 0] };
      const { data } = await valuesOn(device, (x, p) => rope(x, p, { theta: 10_000 }), [ones, at2]);
      assertClose(data, [cos, Math.cos(0.02), sin, Math.sin(0.02)], { relative: 1e-6 });
    }
  });

  it("takes frequencies of one's own", async () => {
    for (const device of BOTH) {
      const run = (x: Tensor, p: Tensor) => rope(x, p, { theta: 10_000, frequencies: [0.5, Math.PI / 4] });
      const { data } = await valuesOn(device, run, [{ shape: [1, 1, 1, 4], data: [1, 1, 0, 0] }, at2]);
      assertClose(data, [Math.cos(1), 0, Math.sin(1), 1], { relative: 1e-6 });
    }
  });

  it("leaves padding where it is: positions before a row's start count as 0", async () => {
    for (const device of BOTH) {
      const { data } = await valuesOn(device, (x, p, s) => rope(x, p, { theta: 10_000, starts: s }), [
        { shape: [1, 4, 1, 2], data: [1, 0, 1, 0, 1, 0, 1, 0] },
        { shape: [1], data: [0], dtype: "i32" },
        { shape: [1], data: [2], dtype: "i32" },
      ]);
      assertClose(data, [1, 0, 1, 0, 1, 0, Math.cos(1), Math.sin(1)], { relative: 1e-6 });
    }
  });

  it("says what a head must look like", () => {
    const x = Tensor.empty([1, 2, 3, 5], { device: "meta", name: "q" });
    const position = Tensor.empty([1], { device: "meta", dtype: "i32" });
    assertEquals(
      assertThrows(() => rope(x, position, { theta: 1 }), KernelwrightError).message,
      'KW-TENSOR-SHAPE\n  Cannot run rope: x is "q" f32 [1, 2, 3, 5]\n' +
        "  It must be [B, T, heads, D] with D even and at most 1024.",
    );
  });
});
