import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import {
  type DType,
  parameter,
  referenceValues,
  setReferenceValues,
  type Shape,
  Tensor,
  type TensorData,
  type TensorValues,
} from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

const on = (device: "reference" | "webgpu", values: unknown, dtype?: DType, shape?: Shape) =>
  Tensor.from(values as TensorValues, { device, dtype, shape });

const refused = (values: unknown, dtype?: DType) => {
  const error = assertThrows(() => on("reference", values, dtype), KernelwrightError);
  assertEquals(error.code, "KW-TENSOR-DATA", error.message);
  return error.message;
};

const RANGES: [DType, number, number][] = [
  ["i32", -(2 ** 31), 2 ** 31 - 1],
  ["u32", 0, 2 ** 32 - 1],
  ["u8", 0, 255],
  ["bool", 0, 1],
];

describe("Tensor.from() and values that do not fit", () => {
  gpuForFile();

  it("says which value, where, and what the dtype holds", () => {
    assertEquals(
      assertThrows(
        () => Tensor.from([[1, 2], [3e9, 4]], { dtype: "i32", device: "reference", name: "ids" }),
        KernelwrightError,
      ).message,
      'KW-TENSOR-DATA  tensor "ids"\n  Cannot make a tensor of i32: the value at [1, 0] is 3000000000\n' +
        "  i32 holds whole numbers from -2147483648 to 2147483647.",
    );
    assertStringIncludes(refused(["one"]), 'Cannot make a tensor of f32: the value at [0] is "one"');
  });

  it("refuses for every integer dtype what is out of range, a fraction, or no number", () => {
    for (const [dtype, least, most] of RANGES) {
      const strange = [
        least - 1,
        most + 1,
        0.5,
        NaN,
        Infinity,
        -Infinity,
        1e300,
        undefined,
        null,
        "1",
        "",
        {},
      ];
      for (const value of [...strange, Symbol("s"), () => 1, new Number(1), [[]], new Date(0)]) {
        refused([0, value], dtype);
        if (typeof value === "number") {
          refused(value, dtype);
          refused([[0], [value]], dtype);
          refused(Float64Array.of(0, value), dtype);
          if (Object.is(Math.fround(value), value)) refused(Float32Array.of(0, value), dtype);
        }
      }
      refused(new Array(3), dtype); // holes
      refused([BigInt(least) - 1n], dtype);
      refused(BigInt64Array.of(BigInt(most) + 1n), dtype);
      refused(BigUint64Array.of(BigInt(most) + 1n), dtype);
    }
    refused(Int32Array.of(-1), "u32");
    refused(Uint32Array.of(2 ** 31), "i32");
    refused(Int32Array.of(256), "u8");
    refused(Uint8ClampedArray.of(2), "bool");
  });

  it("refuses for every float dtype what is not a number", () => {
    for (const dtype of ["f32", "f16"] as const) {
      for (const value of [undefined, null, "1", {}, Symbol("s"), 1n, Float32Array.of(1), new Date(0)]) {
        refused([0, value], dtype);
      }
      refused(new Array(3), dtype);
      refused(BigInt64Array.of(1n), dtype);
    }
  });

  it("refuses what holds no values, and arrays that hold themselves", () => {
    const endless: unknown[] = [];
    endless.push(endless);
    const none = [
      undefined,
      null,
      {},
      "123",
      new DataView(new ArrayBuffer(8)),
      new Set([1]),
      new ArrayBuffer(4),
    ];
    for (const values of [...none, endless, Symbol("s"), () => 1]) refused(values);
  });

  it("takes everything that fits, from every array there is", async () => {
    const arrays = [
      [0, 1, 1],
      [false, true, true],
      [0n, 1n, 1n],
      ...[Int8Array, Int16Array, Int32Array, Uint8Array, Uint16Array, Uint32Array, Uint8ClampedArray].map((
        A,
      ) => A.of(0, 1, 1)),
      ...[Float16Array, Float32Array, Float64Array].map((A) => A.of(0, 1, 1)),
      BigInt64Array.of(0n, 1n, 1n),
      BigUint64Array.of(0n, 1n, 1n),
    ];
    const before = memory().tensors;
    for (const device of ["reference", "webgpu"] as const) {
      for (const [dtype] of RANGES) {
        for (const values of arrays) {
          using t = on(device, values, dtype);
          assertEquals([t.dtype, t.shape, Array.from(await t.data())], [dtype, [3], [0, 1, 1]]);
        }
      }
    }
    assertEquals(memory().tensors, before);
  });

  it("takes 64-bit ids as i32, unsigned ones as u32", async () => {
    using ids = Tensor.from(BigInt64Array.of(1n, -5n, 151643n), { shape: [1, 3] });
    assertEquals([ids.dtype, await ids.data()], ["i32", Int32Array.of(1, -5, 151643)]);
    using others = Tensor.from(BigUint64Array.of(0n, 4294967295n));
    assertEquals([others.dtype, await others.data()], ["u32", Uint32Array.of(0, 4294967295)]);
    refused(BigInt64Array.of(2n ** 40n));
  });

  it("keeps every integer there is, and rounds floats as JavaScript does", async () => {
    for (const [dtype, least, most] of RANGES) {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.integer({ min: least, max: most })), async (numbers) => {
          using t = on("webgpu", numbers, dtype);
          assertEquals(Array.from(await t.data()), numbers);
        }),
        { numRuns: 20 },
      );
    }
    using t = Tensor.from([1e300, -1e300, NaN, -0, 0.1]);
    assertEquals(await t.data(), Float32Array.of(Infinity, -Infinity, NaN, -0, 0.1));
  });

  it("takes memory that is shared or may grow", async () => {
    const shared = new Float32Array(new SharedArrayBuffer(8));
    const growing = new Float32Array(new ArrayBuffer(8, { maxByteLength: 16 }));
    for (const array of [shared, growing]) {
      array.set([1, 2]);
      using t = Tensor.from(array as Float32Array<ArrayBuffer>);
      assertEquals(await t.data(), Float32Array.of(1, 2));
    }
  });

  it("copies between devices whatever the values are", async () => {
    using flags = Tensor.from(Uint8Array.of(7, 0, 255), { dtype: "bool" });
    using copy = await flags.to("reference");
    using back = await copy.to("webgpu");
    assertEquals(await back.data(), Uint8Array.of(7, 0, 255));
  });

  it("refuses writes into a tensor that do not fit it", () => {
    using ids = Tensor.from([1, 2, 3], { dtype: "u32", device: "reference" });
    const writes: [TensorData, number?][] = [[Float64Array.of(0.5)], [Int32Array.of(-1)], [
      Float64Array.of(NaN),
    ]];
    for (
      const [data, offset] of [...writes, [Uint32Array.of(1), 3], [Uint32Array.of(1), -1]] as typeof writes
    ) {
      const error = assertThrows(() => setReferenceValues(ids, data, offset), KernelwrightError);
      assertEquals(error.code, "KW-TENSOR-DATA");
    }
    assertEquals(Array.from(referenceValues(ids)), [1, 2, 3]);
    setReferenceValues(ids, Uint32Array.of(9), 2);
    assertEquals(Array.from(referenceValues(ids)), [1, 2, 9]);
    const weight = parameter([2, 3]);
    using other = Tensor.from([1, 2, 3], { device: "reference" });
    assertEquals(assertThrows(() => weight.assign(other), KernelwrightError).code, "KW-TENSOR-SHAPE");
    assert(!other.released);
  });
});
