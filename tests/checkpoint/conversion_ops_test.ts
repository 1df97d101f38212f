import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  bindRule,
  cast,
  chunk,
  concatenate,
  type ConversionOp,
  convert,
  interleave,
  pad,
  permute,
  permuteForRope,
  rename,
  reshape,
  split,
  stackList,
  transpose,
  unstackList,
} from "../../sdk/authoring/conversions/mod.ts";
import { KernelwrightError } from "../../sdk/errors.ts";
import { type Shape, Tensor, type TensorSpec } from "../../sdk/tensor/mod.ts";

const f32 = (...shape: number[]): TensorSpec => ({ shape, dtype: "f32" });

/** Tensors of 0, 1, 2, … on the reference device, each beginning where the last one ended. */
function counted(...shapes: Shape[]): Tensor[] {
  let next = 0;
  return shapes.map((shape) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return Tensor.from(Float32Array.from({ length: size }, () => next++), { shape, device: "reference" });
  });
}

/** What the ops make of counted tensors; the reverse is checked to give those back. */
async function converted(ops: ConversionOp[], shapes: Shape[], targets = 1): Promise<[Shape, string][]> {
  const inputs = counted(...shapes);
  const names = (n: number, prefix: string) => Array.from({ length: n }, (_, i) => prefix + i);
  const bound = bindRule(convert(names(inputs.length, "s"), names(targets, "t"), ops), inputs);
  const outputs = bound.run(inputs);
  assertEquals(outputs.map((t) => t.shape), bound.outputs.map((s) => s.shape));
  const back = bound.reverse().run(outputs);
  for (const [i, t] of back.entries()) assertEquals(await t.data(), await inputs[i].data());
  const again = bound.reverse().reverse().run(inputs);
  for (const [i, t] of again.entries()) assertEquals(await t.data(), await outputs[i].data());
  return await Promise.all(
    outputs.map(async (t): Promise<[Shape, string]> => [t.shape, (await t.data()).join(" ")]),
  );
}

describe("conversion ops", () => {
  it("concatenate() puts tensors behind each other, and restores uneven parts", async () => {
    assertEquals(await converted([concatenate(0)], [[2, 2], [1, 2]]), [[[3, 2], "0 1 2 3 4 5"]]);
    assertEquals(await converted([concatenate(-1)], [[2, 2], [2, 1]]), [[[2, 3], "0 1 4 2 3 5"]]);
    assertEquals(await converted([concatenate(1)], [[1, 4, 2], [1, 1, 2], [1, 1, 2]]), [
      [[1, 6, 2], "0 1 2 3 4 5 6 7 8 9 10 11"],
    ]);
  });

  it("chunk() and split() keep a dimension of size one", async () => {
    assertEquals(await converted([chunk(2)], [[2, 2]], 2), [[[1, 2], "0 1"], [[1, 2], "2 3"]]);
    assertEquals(await converted([split([1, 3], 1)], [[2, 4]], 2), [[[2, 1], "0 4"], [
      [2, 3],
      "1 2 3 5 6 7",
    ]]);
    assertEquals(await converted([split([0, 2])], [[2, 1]], 2), [[[0, 1], ""], [[2, 1], "0 1"]]);
  });

  it("transpose() and permute() reorder dimensions", async () => {
    assertEquals(await converted([transpose(0, 1)], [[2, 3]]), [[[3, 2], "0 3 1 4 2 5"]]);
    assertEquals(await converted([transpose(-1, 0)], [[1, 3]]), [[[3, 1], "0 1 2"]]);
    assertEquals(await converted([permute([2, 0, 1])], [[2, 1, 3]]), [[[3, 2, 1], "0 3 1 4 2 5"]]);
  });

  it("reshape() keeps the order, and works a size out", async () => {
    assertEquals(await converted([reshape([3, -1])], [[2, 3]]), [[[3, 2], "0 1 2 3 4 5"]]);
    assertEquals(await converted([reshape([])], [[1, 1]]), [[[], "0"]]);
  });

  it("stackList() and unstackList() make one tensor of a list, and a list of one", async () => {
    assertEquals(await converted([stackList()], [[2], [2], [2]]), [[[3, 2], "0 1 2 3 4 5"]]);
    assertEquals(await converted([stackList(-1)], [[2], [2]]), [[[2, 2], "0 2 1 3"]]);
    assertEquals(await converted([stackList()], [[2, 1]]), [[[1, 2, 1], "0 1"]]);
    assertEquals(await converted([unstackList(1)], [[2, 2]], 2), [[[2], "0 2"], [[2], "1 3"]]);
    // Two lists of experts, gate and up side by side for each.
    assertEquals(
      await converted([stackList(0, { lists: 2 }), concatenate(1)], [[1, 2], [1, 2], [1, 2], [1, 2]]),
      [
        [[2, 2, 2], "0 1 4 5 2 3 6 7"],
      ],
    );
  });

  it("permuteForRope() interleaves the halves of each head, for any number of heads", async () => {
    const rope = permuteForRope({ headDim: 4, heads: [2, 1] });
    assertEquals(await converted([rope], [[8, 1], [4, 1]], 2), [
      [[8, 1], "0 2 1 3 4 6 5 7"],
      [[4, 1], "8 10 9 11"],
    ]);
    const back = permuteForRope({ headDim: 4, from: "interleaved" });
    assertEquals(await converted([permuteForRope({ headDim: 4 }), back], [[4]]), [[[4], "0 1 2 3"]]);
  });

  it("pad() adds entries that the reverse drops", async () => {
    assertEquals(await converted([pad({ dim: 1, multipleOf: 4, before: 1, value: -1 })], [[2, 2]]), [
      [[2, 4], "-1 0 1 -1 -1 2 3 -1"],
    ]);
    assertEquals(await converted([pad({ after: 1 })], [[1]]), [[[2], "0 0"]]);
    assertEquals(await converted([pad({ multipleOf: 2 })], [[2]]), [[[2], "0 1"]]);
  });

  it("interleave() mixes row by row", async () => {
    assertEquals(await converted([interleave()], [[2, 2], [2, 2]]), [[[4, 2], "0 1 4 5 2 3 6 7"]]);
    assertEquals(await converted([interleave(1)], [[1, 2], [1, 2], [1, 2]]), [[[1, 6], "0 2 4 1 3 5"]]);
  });

  it("cast() changes the dtype, and the reverse remembers the old one", async () => {
    const bound = bindRule(convert("a", "b", [cast("f16")]), [f32(2)]);
    assertEquals([bound.outputs[0].dtype, bound.reverse().outputs[0].dtype], ["f16", "f32"]);
    const [half] = bound.run([Tensor.from([0.1, 70000], { device: "reference" })]);
    assertEquals([...await half.data()], [Math.f16round(0.1), Infinity]);
  });

  it("rename() gives a tensor of its own that shares the memory", async () => {
    const [t] = counted([2]);
    const [out] = bindRule(rename("a", "b"), [f32(2)]).run([t]);
    t.dispose();
    assertEquals([...await out.data()], [0, 1]);
  });
});

describe("conversions that cannot work", () => {
  const cases: Record<string, [ops: ConversionOp[], specs: TensorSpec[], targets: number, message: string]> =
    {
      "uneven other dimensions": [
        [concatenate(0)],
        [f32(2, 2), f32(2, 3)],
        1,
        `KW-CONVERT-SHAPE  key "s0, s1"
  Cannot apply concatenate(dim: 0) to f32 [2, 2], f32 [2, 3]: tensor 2 of 2 does not fit the first
  Only dimension 0 may differ, and the dtypes must be equal.`,
      ],
      "no such dimension": [
        [transpose(0, 2)],
        [f32(2, 2)],
        1,
        `KW-CONVERT-SHAPE  key "s0"
  Cannot apply transpose(a: 0, b: 2) to f32 [2, 2]: there is no dimension 2 in a tensor of rank 2
  Give a dimension from -2 to 1.`,
      ],
      "parts that are not equal": [
        [chunk(2)],
        [f32(3)],
        2,
        `KW-CONVERT-SHAPE  key "s0"
  Cannot apply chunk(count: 2, dim: 0) to f32 [3]: 3 does not divide into 2 equal parts
  Say the sizes with split([…]).`,
      ],
      "sizes that do not sum": [
        [split([1, 1])],
        [f32(3)],
        2,
        `KW-CONVERT-SHAPE  key "s0"
  Cannot apply split(sizes: [1,1], dim: 0) to f32 [3]: the sizes sum to 2, and the dimension has 3
  Give sizes that sum to it.`,
      ],
      "parts of several tensors": [
        [chunk(2)],
        [f32(2), f32(2)],
        4,
        `KW-CONVERT-AMBIGUOUS  key "s0, s1"
  Cannot apply chunk(count: 2, dim: 0) to f32 [2], f32 [2]: it takes one tensor, since the parts of several could not be told apart
  Write one conversion for each source.`,
      ],
      "a list of unequal tensors": [
        [stackList()],
        [f32(2), f32(3)],
        1,
        `KW-CONVERT-SHAPE  key "s0, s1"
  Cannot apply stackList(dim: 0) to f32 [2], f32 [3]: tensor 2 of 2 is f32 [3], and the first is f32 [2]
  Give tensors of one shape and dtype.`,
      ],
      "another number of elements": [
        [reshape([4, -1])],
        [f32(2, 3)],
        1,
        `KW-CONVERT-SHAPE  key "s0"
  Cannot apply reshape(shape: [4,-1]) to f32 [2, 3]: the number of elements must stay 6
  One size may be -1, which is then worked out.`,
      ],
      "rows that are not the heads": [
        [permuteForRope({ headDim: 4, heads: 3 })],
        [f32(8, 2)],
        1,
        `KW-CONVERT-SHAPE  key "s0"
  Cannot apply permuteForRope(headDim: 4, heads: 3) to f32 [8, 2]: 8 rows are not 3 heads of 4 rows
  Give headDim, and heads for each tensor.`,
      ],
      "a dtype that is not cast": [
        [cast("f16")],
        [{ shape: [1], dtype: "i32" }],
        1,
        `KW-CONVERT-DTYPE  key "s0"
  Cannot apply cast(dtype: "f16") to i32 [1]: i32 is not cast
  It takes f32 and f16.`,
      ],
      "more tensors than targets": [
        [chunk(2)],
        [f32(2)],
        1,
        `KW-CONVERT-SHAPE  key "s0"
  Cannot convert s0 → t0: chunk: it names 1 targets, and its ops give 2: f32 [1], f32 [1]
  Name one target for each tensor that comes out.`,
      ],
    };
  const names = (n: number, prefix: string) => Array.from({ length: n }, (_, i) => prefix + i);
  for (const [name, [ops, specs, targets, message]] of Object.entries(cases)) {
    it(`refuses ${name}`, () => {
      const rule = convert(names(specs.length, "s"), names(targets, "t"), ops);
      const error = assertThrows(() => bindRule(rule, specs), KernelwrightError);
      assertEquals(error.message, message);
    });
  }

  it("refuses an op without a reverse, unless the rule is for loading only", async () => {
    const forget: ConversionOp = {
      name: "forget",
      parameters: {},
      bind: (inputs) => ({ ...reshape([-1]).bind(inputs), label: "forget()", reverse: () => undefined }),
    };
    const error = assertThrows(() => bindRule(convert("a", "b", [forget]), [f32(2, 2)]), KernelwrightError);
    assertEquals(
      error.message,
      `KW-CONVERT-NO-REVERSE  key "a"
  Cannot reverse forget() in the conversion a → b: forget
  Use ops that have a reverse, or mark the conversion { loadOnly: true }: then the model cannot be saved.`,
    );
    const bound = bindRule(convert("a", "b", [forget], { loadOnly: true }), [f32(2, 2)]);
    assertEquals([...await bound.run(counted([2, 2]))[0].data()], [0, 1, 2, 3]);
    assertEquals(assertThrows(() => bound.reverse(), KernelwrightError).code, "KW-CONVERT-NO-REVERSE");
  });

  it("refuses tensors that it was not bound to", () => {
    const bound = bindRule(convert("a", "b", [transpose()]), [f32(2, 3)]);
    assertThrows(() => bound.run(counted([3, 2])), KernelwrightError, "It was bound to f32 [2, 3].");
  });
});
