import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { concat, permute, slice, stridedCopy, transpose } from "../../sdk/ops/mod.ts";
import { collapseRegion, type StridedRegion } from "../../sdk/ops/strided_region.ts";
import { type DType, DTYPES, numel, scope, stridesOf, Tensor } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { assertParity, valuesOn } from "../helpers/parity.ts";
import { random, seed, shapeOf, values } from "../helpers/random.ts";

/** A tensor of random bits: half of all f16 patterns are no ordinary number's, and NaNs carry payloads. */
function randomBits(shape: readonly number[], dtype: DType, from: number): Tensor {
  const next = random(from);
  const bytes = Uint8Array.from({ length: numel(shape) * DTYPES[dtype].bytes }, () => {
    return next() < 0.3 ? 0xff : next() * 256;
  });
  return Tensor.from(DTYPES[dtype].array(bytes.buffer), { shape, dtype });
}

async function bytesOf(t: Tensor): Promise<Uint8Array> {
  const data = await t.data();
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

/** What a copy must do, on the bytes of the elements. */
function copyBytes(target: Uint8Array, source: Uint8Array, region: StridedRegion, bytes: number): void {
  const strides = stridesOf(region.shape);
  for (let i = 0; i < numel(region.shape); i++) {
    let [from, to] = [region.source.offset, region.target.offset];
    region.shape.forEach((n, d) => {
      const at = Math.floor(i / strides[d]) % n;
      from += at * region.source.strides[d];
      to += at * region.target.strides[d];
    });
    target.set(source.subarray(from * bytes, (from + 1) * bytes), to * bytes);
  }
}

/**
 * A region of a tensor with margins on every side, its dimensions shuffled: `rank` sizes, and for each how much is
 * left free before and after it.
 */
interface Side {
  readonly order: readonly number[];
  readonly before: readonly number[];
  readonly after: readonly number[];
}

function side(
  shape: readonly number[],
  { order, before, after }: Side,
): { full: number[]; offset: number; strides: number[] } {
  const dims = order.filter((d) => d < shape.length);
  const full = dims.map((d) => before[d] + shape[d] + after[d]);
  const steps = stridesOf(full);
  const strides = shape.map((_, d) => steps[dims.indexOf(d)]);
  return { full, strides, offset: shape.reduce((at, _, d) => at + before[d] * strides[d], 0) };
}

const DTYPES_ON_GPU: DType[] = ["f32", "f16", "i32", "u32", "u8", "bool"];
const margins = fc.array(fc.constantFrom(0, 0, 0, 1, 2, 3), { minLength: 5, maxLength: 5 });
const sides: fc.Arbitrary<Side> = fc.record({
  order: fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }),
  before: margins,
  after: margins,
});

describe("stridedCopy()", () => {
  gpuForFile();

  it("moves every bit of every dtype, and touches nothing else", async () => {
    const dtypes = DTYPES_ON_GPU.filter((t) => t !== "f16" || gpu().features.has("shader-f16"));
    const shapes = fc.array(fc.constantFrom(1, 2, 3, 4, 5, 7, 8), { maxLength: 5 })
      .filter((s) => numel(s) <= 500);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...dtypes),
        shapes,
        sides,
        sides,
        seed,
        async (dtype, shape, a, b, from) => {
          const [s, t] = [side(shape, a), side(shape, b)];
          const source = randomBits(s.full, dtype, from);
          const target = randomBits(t.full, dtype, from + 1);
          const region = { shape, source: s, target: t };
          const expected = (await bytesOf(target)).slice();
          copyBytes(expected, await bytesOf(source), region, DTYPES[dtype].bytes);
          stridedCopy(target, source, region);
          assertEquals(await bytesOf(target), expected);
          source.dispose();
          target.dispose();
        },
      ),
      { numRuns: 300 },
    );
  });

  it("copies no elements from nowhere to nowhere", () => {
    scope(() => {
      const [target, source] = [Tensor.empty([2, 0]), Tensor.empty([0])];
      const nothing = {
        shape: [0, 5],
        source: { offset: 0, strides: [1, 0] },
        target: { offset: 9, strides: [0, 0] },
      };
      stridedCopy(target, source, nothing);
    });
  });

  it("copies few long runs with the queue, each to its place", async () => {
    const [rows, width] = [5, 20000];
    const source = randomBits([rows, width + 4], "f32", 1);
    const target = randomBits([rows, width + 8], "f32", 2);
    const region = {
      shape: [rows, width],
      source: { offset: 4, strides: [width + 4, 1] },
      target: { offset: 8, strides: [width + 8, 1] },
    };
    const expected = (await bytesOf(target)).slice();
    copyBytes(expected, await bytesOf(source), region, 4);
    const before = gpu().stream.dispatches;
    stridedCopy(target, source, region);
    assertEquals(gpu().stream.dispatches, before);
    assertEquals(await bytesOf(target), expected);
    source.dispose();
    target.dispose();
  });

  it("repeats a source whose stride is 0", async () => {
    const { data } = await valuesOn("webgpu", (target, source) => {
      stridedCopy(target, source, {
        shape: [2, 3],
        source: { offset: 1, strides: [0, 1] },
        target: { offset: 0, strides: [3, 1] },
      });
      return target;
    }, [{ shape: [2, 3], data: values(6, 1) }, { shape: [5], data: [0, 1, 2, 3, 4] }]);
    assertEquals(data, [1, 2, 3, 1, 2, 3]);
  });

  it("copies what is contiguous without a dispatch", () => {
    scope(() => {
      const before = gpu().stream.dispatches;
      const source = Tensor.zeros([4, 3, 5]);
      // Half of the outermost dimension: one run on both sides.
      stridedCopy(Tensor.empty([2, 3, 5]), source, {
        shape: [2, 3, 5],
        source: { offset: 30, strides: [15, 5, 1] },
        target: { offset: 0, strides: [15, 5, 1] },
      });
      assertEquals(gpu().stream.dispatches, before);
      permute(source, [2, 0, 1]);
      assertEquals(gpu().stream.dispatches, before + 1);
    });
  });

  it("copies the odd last element of an f16 tensor", async () => {
    const whole = { shape: [7], source: { offset: 0, strides: [1] }, target: { offset: 0, strides: [1] } };
    if (!gpu().features.has("shader-f16")) return;
    const source = randomBits([7], "f16", 3);
    const target = Tensor.zeros([7], { dtype: "f16" });
    stridedCopy(target, source, whole);
    assertEquals(await bytesOf(target), await bytesOf(source));
    source.dispose();
    target.dispose();
  });

  it("collapses dimensions that both sides walk as one", () => {
    const region = {
      shape: [2, 1, 3, 4],
      source: { offset: 0, strides: [12, 7, 4, 1] },
      target: { offset: 0, strides: [24, 7, 4, 1] },
    };
    assertEquals(collapseRegion(region), [
      { size: 2, source: 12, target: 24 },
      { size: 12, source: 1, target: 1 },
    ]);
  });

  const [ten, five] = [10, 5].map((n) => Tensor.empty([n], { device: "meta" }));
  const mistakes: [what: string, StridedRegion, message: string][] = [
    [
      "a region that leaves the source",
      { shape: [3], source: { offset: 1, strides: [2] }, target: { offset: 0, strides: [1] } },
      "KW-TENSOR-SHAPE\n  Cannot run stridedCopy: the source a tensor f32 [5] has 5 elements, and the region " +
      "reaches element 5\n  Make the region smaller.",
    ],
    [
      "two elements in one place",
      { shape: [3], source: { offset: 0, strides: [1] }, target: { offset: 0, strides: [0] } },
      "KW-TENSOR-SHAPE\n  Cannot run stridedCopy: the target's stride in dimension 0 is 0\n" +
      "  Every element needs a place of its own in the target.",
    ],
    [
      "a stride too few",
      { shape: [1, 3], source: { offset: 0, strides: [1] }, target: { offset: 0, strides: [3, 1] } },
      "KW-TENSOR-SHAPE\n  Cannot run stridedCopy: a shape of 2 dimensions, 1 source strides and 2 target strides\n" +
      "  Give a stride for each dimension on both sides, and at most 8 dimensions.",
    ],
    [
      "a negative offset",
      { shape: [3], source: { offset: -1, strides: [1] }, target: { offset: 0, strides: [1] } },
      "KW-TENSOR-SHAPE\n  Cannot run stridedCopy: the source has offset -1, strides [1] and shape [3]\n" +
      "  Give whole numbers that are not negative.",
    ],
  ];
  for (const [what, region, message] of mistakes) {
    it(`refuses ${what}`, () => {
      assertEquals(assertThrows(() => stridedCopy(ten, five, region), KernelwrightError).message, message);
    });
  }

  it("refuses source and target in one memory", () => {
    const region = { shape: [2], source: { offset: 0, strides: [1] }, target: { offset: 2, strides: [1] } };
    assertEquals(
      assertThrows(() => stridedCopy(ten, ten.reshape([5, 2]), region), KernelwrightError).message,
      "KW-DISPATCH-ALIAS\n  Cannot run stridedCopy: target and source are the same memory, a tensor f32 [10]\n" +
        "  Copy to a tensor of its own: Tensor.empty(…).",
    );
  });
});

describe("transpose(), permute(), slice(), concat()", () => {
  gpuForFile();
  const exact = { relative: 0, absolute: 0 };

  it("permute() agrees with its reference", async () => {
    await fc.assert(
      fc.asyncProperty(
        shapeOf(0, 5, 3000),
        fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }),
        async (shape, order) => {
          const dims = order.filter((d) => d < shape.length);
          const data = values(numel(shape), 1);
          await assertParity((x) => permute(x, dims), [{ shape, data }], "f32", exact);
          if (gpu().features.has("shader-f16")) {
            await assertParity((x) => permute(x, dims), [{ shape, data }], "f16", exact);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  it("transpose() exchanges two dimensions", async () => {
    for (const device of ["webgpu", "reference"] as const) {
      const x = { shape: [2, 3], data: [1, 2, 3, 4, 5, 6] };
      assertEquals(await valuesOn(device, (x) => transpose(x, 0, -1), [x]), {
        shape: [3, 2],
        dtype: "f32",
        data: [1, 4, 2, 5, 3, 6],
      });
    }
  });

  it("slice() and concat() undo each other along every dimension", async () => {
    await fc.assert(
      fc.asyncProperty(shapeOf(1, 4, 3000), fc.nat(3), fc.nat(100), fc.nat(100), async (shape, d, a, b) => {
        const dim = d % shape.length;
        const [start, end] = [a % (shape[dim] + 1), b % (shape[dim] + 1)].sort((x, y) => x - y);
        const run = (x: Tensor) =>
          concat([slice(x, dim, 0, start), slice(x, dim, start, end), slice(x, dim, end, shape[dim])], dim);
        const data = Array.from(values(numel(shape), 1), Math.f16round);
        for (const dtype of gpu().features.has("shader-f16") ? ["f32", "f16"] as const : ["f32"] as const) {
          assertEquals((await valuesOn("webgpu", run, [{ shape, data }], dtype)).data, data);
        }
        assertEquals((await valuesOn("reference", run, [{ shape, data }])).data, data);
      }),
      { numRuns: 40 },
    );
  });

  it("slice() takes from start up to end", async () => {
    for (const device of ["webgpu", "reference"] as const) {
      const x = { shape: [2, 3], data: [1, 2, 3, 4, 5, 6] };
      assertEquals((await valuesOn(device, (x) => slice(x, 1, 1, 3), [x])).data, [2, 3, 5, 6]);
      assertEquals((await valuesOn(device, (x) => slice(x, -2, 1, 2), [x])).data, [4, 5, 6]);
    }
  });

  it("concat() puts uneven parts one after the other", async () => {
    for (const device of ["webgpu", "reference"] as const) {
      const [a, b] = [{ shape: [2, 1], data: [1, 2] }, { shape: [2, 2], data: [3, 4, 5, 6] }];
      assertEquals((await valuesOn(device, (a, b) => concat([a, b], 1), [a, b])).data, [1, 3, 4, 2, 5, 6]);
    }
  });

  const x = Tensor.empty([2, 3], { device: "meta", name: "x" });
  it("slice() says what is in range", () => {
    assertEquals(
      assertThrows(() => slice(x, 1, 2, 4), KernelwrightError).message,
      'KW-TENSOR-SHAPE\n  Cannot run slice: from 2 to 4 of dimension 1 of "x" f32 [2, 3]\n' +
        "  Give whole numbers with 0 <= start <= end <= 3.",
    );
  });

  it("permute() wants every dimension once", () => {
    assertEquals(
      assertThrows(() => permute(x, [0, -2]), KernelwrightError).message,
      'KW-TENSOR-SHAPE\n  Cannot run permute: the order [0, -2] of "x" f32 [2, 3]\n  Name every dimension once.',
    );
  });

  it("concat() says which shapes differ", () => {
    const y = Tensor.empty([3, 3], { device: "meta", name: "y" });
    assertEquals(
      assertThrows(() => concat([x, y], 1), KernelwrightError).message,
      'KW-TENSOR-SHAPE\n  Cannot run concat: "x" f32 [2, 3] and "y" f32 [3, 3] along dimension 1\n' +
        "  All other sizes must be equal.",
    );
    assert(concat([x, y], 0).shape[0] === 5);
  });
});
