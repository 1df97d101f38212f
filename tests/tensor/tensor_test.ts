import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import {
  type DType,
  DTYPES,
  referenceValues,
  Tensor,
  type TensorData,
  withTracer,
} from "../../sdk/tensor/mod.ts";
import { assertClose } from "../../sdk/testing/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";

const message = (fn: () => unknown) => assertThrows(fn, KernelwrightError).message;
const meta = (shape: number[], name?: string) => Tensor.empty(shape, { device: "meta", name });

describe("Tensor", () => {
  gpuForFile();

  it("data() gives back every bit that from() was given, for every dtype and length", async () => {
    const dtypes = (["f32", "f16", "i32", "u32", "u8", "bool"] as DType[])
      .filter((t) => t !== "f16" || gpu().features.has("shader-f16"));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...dtypes),
        fc.nat(9).chain((n) => fc.uint8Array({ minLength: n * 4, maxLength: n * 4 })),
        async (dtype, bytes) => {
          // A prefix of the bytes, so that u8 and f16 have odd counts too.
          const count = Math.floor(bytes.length / 4);
          const given = DTYPES[dtype].array(bytes.slice(0, count * DTYPES[dtype].bytes).buffer);
          using t = Tensor.from(given, { dtype });
          const got = await t.data();
          assertEquals(got.constructor, given.constructor);
          assertEquals(bits(got), bits(given));
        },
      ),
      { numRuns: 60 },
    );
  });

  it("from() takes the shape of nested arrays", async () => {
    using t = Tensor.from([[1, 2, 3], [4, 5, 6]]);
    assertEquals([t.shape, t.dtype, t.rank, t.size], [[2, 3], "f32", 2, 6]);
    assertEquals(await t.data(), Float32Array.of(1, 2, 3, 4, 5, 6));
    using scalar = Tensor.from(7);
    assertEquals([scalar.shape, await scalar.data()], [[], Float32Array.of(7)]);
    using nothing = Tensor.from([[], []]);
    assertEquals([nothing.shape, await nothing.data()], [[2, 0], new Float32Array(0)]);
  });

  it("from() takes the dtype of a typed array", () => {
    const arrays: [TensorData, DType][] = [
      [new Int32Array(1), "i32"],
      [new Uint32Array(1), "u32"],
      [new Uint8Array(1), "u8"],
      [new Uint16Array(1), "bf16"],
      [new Float16Array(1), "f16"],
      [new Float64Array(1), "f32"],
    ];
    for (const [array, dtype] of arrays) {
      assertEquals(Tensor.from(array, { device: "reference" }).dtype, dtype);
    }
  });

  it("from() says what does not fit", () => {
    assertEquals(
      message(() => Tensor.from([1, 2, 3], { shape: [2, 2], name: "w" })),
      'KW-TENSOR-DATA  tensor "w"\n  Cannot make a tensor of shape [2, 2] from 3 values\n' +
        "  That shape has 4 elements.",
    );
    assertEquals(
      message(() => Tensor.from([[1], [2, 3]])),
      "KW-TENSOR-DATA\n  Cannot make a tensor from nested arrays of uneven length\n  Make every row equally long.",
    );
    assertEquals(
      message(() => Tensor.from([1], { dtype: "bf16", device: "reference" })),
      "KW-TENSOR-DATA\n  Cannot make a bf16 tensor from numbers\n  Give its raw bits as a Uint16Array.",
    );
    assertEquals(
      message(() => meta([2, -1])),
      "KW-TENSOR-SHAPE\n  Cannot make a tensor of shape [2, -1]\n" +
        "  Give whole, non-negative sizes whose product is below 2^53.",
    );
  });

  it("gives bf16 back as the bits that it was given, and keeps them in copies", async () => {
    const every = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const t = Tensor.from(every, { device: "reference", shape: [256, 256] });
    const copy = await t.to("reference");
    for (const same of [t, t.reshape([65536]), copy]) {
      const got = await same.data();
      assert(got instanceof Uint16Array);
      // A NaN stays one; the float unit may change its bits.
      assertEquals(every.find((bits, i) => bits !== got[i] && (bits & got[i] & 0x7fff) <= 0x7f80), undefined);
    }
    await assertClose(Tensor.from(Uint16Array.of(0x3f80, 0xc000), { device: "reference" }), [1, -2]);
    assertEquals([...referenceValues(t).slice(0x3f80, 0x3f82)], [1, 1.0078125]);
  });

  it("does not keep bf16 on the GPU", () => {
    assertEquals(
      message(() => Tensor.empty([2], { dtype: "bf16", name: "w" })),
      'KW-TENSOR-DTYPE  tensor "w"\n  Cannot keep a bf16 tensor on the GPU: no shader can read it\n' +
        "  Widen it to f32 first.",
    );
  });

  it("has no values on meta", () => {
    assertEquals(
      message(() => meta([2]).data()),
      "KW-TENSOR-META\n  Cannot read the values of a tensor on the meta device: it has none\n" +
        "  A forward that looks at values cannot be traced; load the weights first, or keep the values on the device.",
    );
  });

  it("has no values while a forward is traced, wherever they are", () => {
    using t = Tensor.zeros([2]);
    const tracer = { op: () => {} };
    assert(message(() => withTracer(tracer, () => t.data())).startsWith("KW-TENSOR-META"));
    assertEquals(withTracer(tracer, () => Tensor.zeros([2])).device, "meta");
  });

  it("to() copies between devices", async () => {
    using t = Tensor.from([1.5, -2], { name: "x" });
    const exact = await t.to("reference");
    assertEquals([exact.device, exact.name, await exact.data()], [
      "reference",
      "x",
      Float64Array.of(1.5, -2),
    ]);
    using back = await exact.to("webgpu");
    assertEquals(await back.data(), Float32Array.of(1.5, -2));
    assertEquals((await t.to("meta")).shape, [2]);
  });

  it("reads and writes tensors of no elements", async () => {
    using t = Tensor.zeros([3, 0, 2]);
    assertEquals([t.size, await t.data()], [0, new Float32Array(0)]);
  });

  it("a name shows in what describe() says", () => {
    assertEquals(meta([2, 3], "q").describe(), '"q" f32 [2, 3]');
    assertEquals(meta([]).describe(), "a tensor f32 []");
  });
});

describe("Tensor.reshape()", () => {
  gpuForFile();

  it("shares the memory, which lives until both are disposed", async () => {
    const before = memory().tensors;
    const t = Tensor.from([1, 2, 3, 4, 5, 6]);
    const r = t.reshape([2, -1]);
    assertEquals([r.shape, memory().tensors], [[2, 3], before + 1]);
    t.dispose();
    assertEquals([t.released, r.released], [true, false]);
    assertEquals(await r.data(), Float32Array.of(1, 2, 3, 4, 5, 6));
    r.dispose();
    assertEquals(memory().tensors, before);
  });

  it("disposing twice gives back one share only", () => {
    const t = Tensor.zeros([2]);
    const r = t.reshape([2, 1]);
    t.dispose();
    t.dispose();
    assertEquals(r.released, false);
    r.dispose();
  });

  it("tells the tracer", () => {
    const seen: string[] = [];
    withTracer({ op: (name) => seen.push(name) }, () => meta([4]).reshape([2, 2]));
    assertEquals(seen, ["reshape"]);
  });

  it("says what would fit", () => {
    assertEquals(
      message(() => meta([2, 3], "q").reshape([4, -1])),
      'KW-TENSOR-SHAPE\n  Cannot reshape "q" f32 [2, 3] to [4, -1]\n  The number of elements must stay 6.',
    );
    assertEquals(
      message(() => meta([2, 3]).reshape([-1, -1])),
      "KW-TENSOR-SHAPE\n  Cannot reshape a tensor f32 [2, 3] to [-1, -1]\n" +
        "  The number of elements must stay 6, and only one size may be -1.",
    );
    assert(message(() => meta([0, 3]).reshape([0, -1])).startsWith("KW-TENSOR-SHAPE"));
  });
});

describe("a released tensor", () => {
  gpuForFile();
  const expected =
    'KW-TENSOR-RELEASED  tensor "x"\n  Cannot use "x" f32 [2]: its memory has been released\n' +
    "  Return it from the scope or forward that made it, or call keep() on it there.";

  it("says so where it is read, reshaped or copied", async () => {
    const x = Tensor.zeros([2], { name: "x" });
    x.dispose();
    assertEquals(message(() => x.data()), expected);
    assertEquals(message(() => x.reshape([1, 2])), expected);
    assertEquals((await assertRejects(() => x.to("reference"), KernelwrightError)).message, expected);
  });

  it("is told by `using`", () => {
    let outside: Tensor;
    {
      using inside = Tensor.zeros([2]);
      outside = inside;
    }
    assertEquals(outside.released, true);
  });
});

function bits(data: TensorData): Uint8Array {
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}
