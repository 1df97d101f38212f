import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { dispatch, memory, shader } from "../../sdk/gpu/mod.ts";
import { type DType, DTYPES, Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

/** Copies what `read` says of element 1 of `x`. */
function reader(type: string, read: string, declared = "") {
  return shader({
    name: "holes.wgsl",
    code: `${/f16|h\b/.test(type + declared) ? "enable f16;" : ""} ${declared}
      @group(0) @binding(0) var<storage, read> x: ${type};
      @group(0) @binding(1) var<storage, read_write> out: array<f32>;
      @compute @workgroup_size(1) fn main() { out[0] = f32(${read}); }`,
  });
}

/** A tensor that holds 0, 1, 2, …. */
function counting(shape: readonly number[], dtype: DType, device?: "meta"): Tensor {
  const size = shape.reduce((a, b) => a * b, 1);
  if (device) return Tensor.empty(shape, { dtype, device });
  const values = DTYPES[dtype].array(new ArrayBuffer(size * DTYPES[dtype].bytes)).map((_, i) => i);
  return Tensor.from(values, { shape });
}

/** An element, what reads its second one, the number that has there, and shapes that are taken and refused. */
interface Case {
  readonly type: string;
  readonly declared?: string;
  readonly dtype?: DType;
  readonly read: string;
  readonly at: number;
  readonly taken: readonly (readonly number[])[];
  readonly refused: readonly (readonly number[])[];
}

const PADDED = "struct P { a: f32, b: vec2<f32> }";
const CASES: readonly Case[] = [
  // rows of three
  ...(["f32", "i32", "u32", "f16"] as const).map((dtype): Case => ({
    type: `array<vec3<${dtype}>>`,
    dtype,
    read: "x[1].z",
    at: 6,
    taken: [[4, 4], [2, 4], [2, 2, 4], [16], [8]],
    refused: [[4, 3], [8, 3], [16, 3], [3, 3], [1, 3], [2, 2, 3], [12], [48], [4, 6], [4, 12], [3, 8, 3]],
  })),
  {
    type: "array<vec3f, 4>",
    read: "x[1].z",
    at: 6,
    taken: [[4, 4], [5, 4]],
    refused: [[16, 3], [8, 3], [3, 4]],
  },
  {
    type: "array<V>",
    declared: "alias V = vec3f;",
    read: "x[1].y",
    at: 5,
    taken: [[4, 4]],
    refused: [[4, 3]],
  },
  // matrices of columns of three
  {
    type: "array<mat3x3f>",
    read: "x[1][2].y",
    at: 21,
    taken: [[2, 3, 4], [2, 12], [6, 4]],
    refused: [[4, 3, 3], [8, 4, 3], [4, 9], [16, 9], [36]],
  },
  {
    type: "array<mat2x3<f32>>",
    read: "x[1][1].z",
    at: 14,
    taken: [[2, 2, 4], [2, 8]],
    refused: [[4, 2, 3], [4, 6], [8, 4, 3], [24]],
  },
  {
    type: "array<mat4x3<f32>>",
    read: "x[1][3].z",
    at: 30,
    taken: [[2, 4, 4], [2, 16]],
    refused: [[4, 4, 3], [4, 12], [48]],
  },
  {
    type: "array<mat3x3h>",
    dtype: "f16",
    read: "x[1][2].y",
    at: 21,
    taken: [[2, 3, 4], [2, 12]],
    refused: [[4, 3, 3], [4, 9]],
  },
  {
    type: "array<mat2x3<f16>>",
    dtype: "f16",
    read: "x[1][1].z",
    at: 14,
    taken: [[2, 2, 4]],
    refused: [[4, 2, 3], [4, 6]],
  },
  { type: "mat3x3f", read: "x[1].z", at: 6, taken: [[3, 4], [12]], refused: [[4, 3], [3, 3], [9], [36]] },
  // elements without holes, as usual
  {
    type: "array<mat3x2f>",
    read: "x[1][2].y",
    at: 11,
    taken: [[2, 6], [12], [4, 3], [2, 3, 2]],
    refused: [[5]],
  },
  { type: "array<mat2x4f>", read: "x[1][1].w", at: 15, taken: [[16], [4, 4]], refused: [[12]] },
  { type: "array<vec4f>", read: "x[1].w", at: 7, taken: [[8], [4, 6], [2, 4]], refused: [[3, 3]] },
  { type: "array<vec2h>", dtype: "f16", read: "x[1].y", at: 3, taken: [[4], [2, 3]], refused: [] },
  { type: "vec3f", read: "x.z", at: 2, taken: [[3]], refused: [[2]] },
  { type: "array<array<f32, 3>>", read: "x[1][2]", at: 5, taken: [[4, 3], [6]], refused: [[4]] },
  { type: "array<atomic<u32>>", dtype: "u32", read: "1", at: 1, taken: [[4], [4, 3]], refused: [] },
  // nested
  {
    type: "array<array<vec3f, 2>>",
    read: "x[1][1].y",
    at: 13,
    taken: [[2, 2, 4], [4, 4], [2, 8]],
    refused: [[8, 3], [4, 2, 3], [4, 6], [24]],
  },
  {
    type: "array<array<array<vec3<f32>, 2>, 2>>",
    read: "x[1][1][1].x",
    at: 28,
    taken: [[2, 2, 2, 4]],
    refused: [[4, 2, 2, 3], [16, 3]],
  },
  {
    type: "array<array<P, 2>>",
    declared: PADDED,
    read: "x[1][0].b.y",
    at: 11,
    taken: [[4, 4], [2, 2, 4]],
    refused: [[8, 3]],
  },
  // structs
  {
    type: "array<P>",
    declared: PADDED,
    read: "x[1].b.y",
    at: 7,
    taken: [[2, 4], [4, 4], [8], [12], [16]],
    refused: [[4, 3], [8, 3], [10], [3, 3]],
  },
  {
    type: "array<P>",
    declared: "struct P { a: vec3f, b: f32 }",
    read: "x[1].b",
    at: 7,
    taken: [[2, 4], [8], [4, 3]],
    refused: [[3, 3]],
  },
  {
    type: "array<P>",
    declared: "struct P { a: vec3f, b: vec3f }",
    read: "x[1].b.y",
    at: 13,
    taken: [[2, 8], [16], [24]],
    refused: [[4, 6], [8, 3], [4, 2, 3]],
  },
  {
    type: "array<P>",
    declared: "struct P { a: f32, b: vec3f }",
    read: "x[1].b.y",
    at: 13,
    taken: [[2, 8], [16]],
    refused: [[4, 4], [12], [4, 3]],
  },
  {
    type: "array<P>",
    declared: "struct P { a: f32, @align(16) b: f32 }",
    read: "x[1].b",
    at: 12,
    taken: [[2, 8], [16]],
    refused: [[8, 2], [4, 4], [12]],
  },
  {
    type: "array<P>",
    declared: "struct P { @size(16) a: f32 }",
    read: "x[1].a",
    at: 4,
    taken: [[2, 4], [8]],
    refused: [[4, 1], [6], [4, 2]],
  },
  {
    type: "array<P>",
    declared: "struct P { a: vec3h }",
    dtype: "f16",
    read: "x[1].a.y",
    at: 5,
    taken: [[2, 4]],
    refused: [[4, 3]],
  },
  // a header, then elements
  {
    type: "H",
    declared: "struct H { a: u32, b: u32, c: u32, items: array<u32> }",
    dtype: "u32",
    read: "x.items[1] + arrayLength(&x.items) * 100u",
    at: 204,
    taken: [[5]],
    refused: [[3], [2], [1]],
  },
  {
    type: "H",
    declared: "struct H { a: u32, b: u32, c: u32, items: array<u32> }",
    dtype: "u32",
    read: "x.items[0] + arrayLength(&x.items) * 100u",
    at: 103,
    taken: [[4]],
    refused: [[0]],
  },
  {
    type: "H",
    declared: "struct H { n: f32, items: array<vec4f> }",
    read: "x.items[1].x",
    at: 8,
    taken: [[12], [16]],
    refused: [[10], [13], [4], [6]],
  },
  {
    type: "H",
    declared: "struct H { n: f32, items: array<vec3f> }",
    read: "x.items[1].x",
    at: 8,
    taken: [[12], [3, 4]],
    refused: [[10], [4, 3], [16, 3]],
  },
  {
    type: "H",
    declared: "struct H { n: vec2f, items: array<f32> }",
    read: "x.items[1]",
    at: 3,
    taken: [[4], [5]],
    refused: [[3], [2]],
  },
  {
    type: "H",
    declared: "struct E { a: u32, b: vec2<u32> } struct H { n: vec4<u32>, items: array<E> }",
    dtype: "u32",
    read: "x.items[1].b.y",
    at: 11,
    taken: [[12]],
    refused: [[7], [4]],
  },
  {
    type: "H",
    declared: "struct E { a: vec2f, b: vec2f, c: vec2f } struct H { n: f32, items: array<E> }",
    read: "x.items[1].a.x",
    at: 8,
    taken: [[14], [20]],
    refused: [[6], [12], [18], [13]],
  },
];

describe("a tensor fits a binding by the strides of its elements:", () => {
  gpuForFile();

  for (const { type, declared, dtype = "f32", read, at, taken, refused } of CASES) {
    const code = type.includes("atomic")
      ? shader({
        code: `@group(0) @binding(0) var<storage, read_write> x: ${type};
          @group(0) @binding(1) var<storage, read_write> out: array<f32>;
          @compute @workgroup_size(1) fn main() { out[0] = f32(atomicLoad(&x[1])); }`,
      })
      : reader(type, read, declared);

    it(`${declared ?? ""} ${type} of ${dtype}`, async () => {
      const before = memory().buffers;
      for (const shape of taken) {
        using x = counting(shape, dtype);
        using out = Tensor.zeros([1]);
        dispatch(code, { x, out }, { workgroups: 1 });
        assertEquals([shape, await out.data()], [shape, Float32Array.of(at)]);
      }
      for (const shape of refused) {
        using x = counting(shape, dtype, "meta");
        using out = Tensor.empty([1], { device: "meta" });
        const error = assertThrows(
          () => dispatch(code, { x, out }, { workgroups: 1 }),
          KernelwrightError,
          undefined,
          `[${shape}] was taken`,
        );
        assertEquals(error.code, "KW-DISPATCH-SIZE");
      }
      assertEquals(memory().buffers, before);
    });
  }

  it("says which rows to give", () => {
    using x = Tensor.empty([4, 3], { device: "meta" });
    using out = Tensor.empty([1], { device: "meta" });
    const error = assertThrows(
      () => dispatch(reader("array<vec3f>", "x[0].x"), { x, out }, { workgroups: 1 }),
      KernelwrightError,
    );
    assertEquals(
      error.message,
      'KW-DISPATCH-SIZE  tensor "x" holes.wgsl\n' +
        '  The binding "x" has elements of 16 bytes (vec3<f32>), of which 12 are numbers, and got f32 [4, 3], 48 bytes\n' +
        "  Give rows of 4, as the shader steps from element to element: [n, 4]. Or declare the binding as an array of numbers.",
    );
  });

  it("looks at the dtype inside of arrays", () => {
    using x = Tensor.empty([4, 3], { device: "meta", dtype: "i32" });
    using out = Tensor.empty([1], { device: "meta" });
    const error = assertThrows(
      () => dispatch(reader("array<array<f32, 3>>", "x[0][0]"), { x, out }, { workgroups: 1 }),
      KernelwrightError,
    );
    assertEquals(error.code, "KW-DISPATCH-DTYPE");
  });

  for (
    const [type, read, values] of [
      ["array<vec3f, 4>", "u[1].z", 12],
      ["array<mat3x3f, 2>", "u[1][2].y", 18],
      ["array<mat2x3<f32>, 2>", "u[1][1].z", 12],
      ["array<mat4x3f, 2>", "u[1][3].z", 24],
      ["array<array<vec3f, 2>, 2>", "u[1][1].y", 12],
      ["mat3x3f", "u[2].y", 9],
      ["array<vec3<i32>, 3>", "u[1].z", 9],
      ["array<vec3<u32>, 3>", "u[1].z", 9],
    ] as const
  ) {
    it(`uniforms of ${type} are packed by the same strides, without holes in what is given`, async () => {
      const code = `@group(0) @binding(0) var<uniform> u: ${type};
        @group(0) @binding(1) var<storage, read_write> out: array<f32>;
        @compute @workgroup_size(1) fn main() { out[0] = f32(${read}); }`;
      using out = Tensor.zeros([1]);
      const u = Array.from({ length: values }, (_, i) => i);
      const index: Record<string, number> = {
        "u[1].z": 5,
        "u[1][2].y": 16,
        "u[1][1].z": 11,
        "u[1][3].z": 23,
        "u[1][1].y": 10,
        "u[2].y": 7,
      };
      dispatch(shader({ code }), { u, out }, { workgroups: 1 });
      assertEquals((await out.data())[0], index[read]);
      assertThrows(
        () => dispatch(shader({ code }), { u: [...u, 1, 2, 3], out }, { workgroups: 1 }),
        KernelwrightError,
        `takes ${values} numbers`,
      );
    });
  }
});
