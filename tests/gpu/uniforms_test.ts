import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { dispatch, shader, type UniformValues } from "../../sdk/gpu/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

/** Runs a shader that writes out what it finds in a uniform. */
async function echo(
  declarations: string,
  reads: readonly string[],
  u: UniformValues | number | readonly number[],
): Promise<number[]> {
  const code = `${declarations}
    @group(0) @binding(0) var<storage, read_write> out: array<f32>;
    @compute @workgroup_size(1) fn main() {
      ${reads.map((read, i) => `out[${i}] = f32(${read});`).join("\n")}
    }`;
  using out = Tensor.zeros([reads.length]);
  dispatch(shader({ name: "echo.wgsl", code }), { out, u }, { workgroups: 1 });
  return Array.from(await out.data(), Number);
}
const lanes = (name: string, n: number) => Array.from({ length: n }, (_, i) => `${name}[${i}]`);
const uniform = "@group(0) @binding(1) var<uniform> u: U;";

describe("uniforms", () => {
  gpuForFile();

  it("carry scalars of every kind", async () => {
    const got = await echo(`struct U { a: f32, b: i32, c: u32 } ${uniform}`, ["u.a", "u.b", "u.c"], {
      a: 0.5,
      b: -7,
      c: 9,
    });
    assertEquals(got, [0.5, -7, 9]);
  });

  it("carry vec3 with a scalar in its fourth place, and one behind", async () => {
    const got = await echo(
      `struct U { a: f32, v: vec3<f32>, b: f32, w: vec3i, c: f32 } ${uniform}`,
      ["u.a", ...lanes("u.v", 3), "u.b", ...lanes("u.w", 3), "u.c"],
      { a: 1, v: [2, 3, 4], b: 5, w: [6, -7, 8], c: 9 },
    );
    assertEquals(got, [1, 2, 3, 4, 5, 6, -7, 8, 9]);
  });

  it("carry vec2 and vec4", async () => {
    const got = await echo(
      `struct U { a: u32, v: vec2f, w: vec4<u32> } ${uniform}`,
      ["u.a", ...lanes("u.v", 2), ...lanes("u.w", 4)],
      { a: 1, v: [2, 3], w: [4, 5, 6, 7] },
    );
    assertEquals(got, [1, 2, 3, 4, 5, 6, 7]);
  });

  for (const [columns, rows] of [[2, 2], [2, 3], [3, 2], [3, 3], [4, 3], [4, 4], [2, 4], [4, 2]]) {
    it(`carry mat${columns}x${rows}, column after column`, async () => {
      const count = columns * rows;
      const m = Array.from({ length: count }, (_, i) => i + 1);
      const reads = m.map((_, i) => `u.m[${Math.floor(i / rows)}][${i % rows}]`);
      const got = await echo(`struct U { a: f32, m: mat${columns}x${rows}f, b: f32 } ${uniform}`, [
        ...reads,
        "u.b",
      ], {
        a: -1,
        m,
        b: 99,
      });
      assertEquals(got, [...m, 99]);
    });
  }

  it("carry arrays of vectors and matrices, with their padding", async () => {
    const got = await echo(
      `struct U { v: array<vec3<f32>, 2>, m: array<mat3x3<f32>, 2>, w: array<vec4<i32>, 2>, b: f32 } ${uniform}`,
      [...[0, 1].flatMap((i) => lanes(`u.v[${i}]`, 3)), "u.m[1][2][0]", "u.m[0][1][2]", "u.w[1][0]", "u.b"],
      {
        v: [1, 2, 3, 4, 5, 6],
        m: Array.from({ length: 18 }, (_, i) => 10 + i),
        w: [1, 2, 3, 4, -5, 6, 7, 8],
        b: 99,
      },
    );
    assertEquals(got, [1, 2, 3, 4, 5, 6, 25, 15, -5, 99]);
  });

  it("may be one number, a vector or an array, without a struct", async () => {
    const bare = (type: string) => `@group(0) @binding(1) var<uniform> u: ${type};`;
    assertEquals(await echo(bare("u32"), ["u"], 7), [7]);
    assertEquals(await echo(bare("vec3<f32>"), lanes("u", 3), [1, 2, 3]), [1, 2, 3]);
    assertEquals(await echo(bare("array<vec4<f32>, 2>"), ["u[0].y", "u[1].w"], [1, 2, 3, 4, 5, 6, 7, 8]), [
      2,
      8,
    ]);
  });

  it("may be several, in any group", async () => {
    const code = `
      @group(1) @binding(3) var<uniform> second: f32;
      @group(0) @binding(2) var<uniform> first: f32;
      @group(0) @binding(5) var<uniform> third: f32;
      @group(1) @binding(0) var<storage, read_write> out: array<f32>;
      @compute @workgroup_size(1) fn main() { out[0] = first + 10 * second + 100 * third; }`;
    using out = Tensor.zeros([1]);
    dispatch(shader({ code }), { out, first: 1, second: 2, third: 3 }, { workgroups: 1 });
    assertEquals(await out.data(), Float32Array.of(321));
  });

  it("hold no f16 and no struct inside a struct", async () => {
    const message = async (declarations: string) => {
      try {
        await echo(declarations, ["1"], { a: 1 });
      } catch (error) {
        return (error as KernelwrightError).message;
      }
    };
    assertEquals(
      await message(`struct I { x: f32 } struct U { a: I } ${uniform}`),
      'KW-DISPATCH-UNIFORM  echo.wgsl\n  Cannot pack the uniform field "u.a" of type I\n' +
        "  Use f32, i32, u32, their vectors and matrices, and arrays of those.",
    );
  });

  it("refuse numbers that the type cannot hold", () => {
    const code =
      `@group(0) @binding(0) var<uniform> u: i32; @compute @workgroup_size(1) fn main() { _ = u; }`;
    for (const value of [2 ** 31, -(2 ** 31) - 1, 0.5, NaN]) {
      assertEquals(
        assertThrows(
          () => dispatch(shader({ name: "i.wgsl", code }), { u: value }, { workgroups: 1 }),
          KernelwrightError,
        ).message,
        `KW-DISPATCH-UNIFORM  i.wgsl\n  The uniform field "u" is i32, and got ${value}`,
      );
    }
  });

  for (const value of [1e39, -1e39, "1", true, 1n, [null], {}]) {
    it(`refuse what f32 cannot hold: ${String(value)}`, () => {
      const code =
        `@group(0) @binding(0) var<uniform> u: f32; @compute @workgroup_size(1) fn main() { _ = u; }`;
      const error = assertThrows(
        () => dispatch(shader({ code }), { u: value as number }, { workgroups: 1 }),
        KernelwrightError,
      );
      assertEquals(error.code, "KW-DISPATCH-UNIFORM");
    });
  }

  it("carry infinities, which f32 has", async () => {
    const code = `@group(0) @binding(0) var<uniform> u: vec2f;
      @group(0) @binding(1) var<storage, read_write> out: array<f32>;
      @compute @workgroup_size(1) fn main() { out[0] = min(u.x, 1.0) + max(u.y, 2.0); }`;
    using out = Tensor.zeros([1]);
    dispatch(shader({ code }), { out, u: [Infinity, -Infinity] }, { workgroups: 1 });
    assertEquals(await out.data(), Float32Array.of(3));
  });

  for (const value of [null, 4, "u", true]) {
    it(`refuse a struct that is ${value}`, () => {
      const code = `struct S { a: f32 } @group(0) @binding(0) var<uniform> u: S;
        @compute @workgroup_size(1) fn main() { _ = u.a; }`;
      const error = assertThrows(
        () => dispatch(shader({ code }), { u: value as unknown as number }, { workgroups: 1 }),
        KernelwrightError,
        "takes an object of its fields",
      );
      assertEquals(error.code, "KW-DISPATCH-UNIFORM");
    });
  }

  it("refuse what is not a number", () => {
    const bare = (type: string) =>
      `@group(0) @binding(0) var<uniform> u: ${type}; @compute @workgroup_size(1) fn main() { _ = u; }`;
    const run = (code: string, u: unknown) =>
      assertThrows(
        () => dispatch(shader({ code }), { u: u as UniformValues }, { workgroups: 1 }),
        KernelwrightError,
      );
    const strange = [null, undefined, "1", "", {}, [], true, 1n, Symbol("s"), () => 1, [null], ["1"], [
      undefined,
    ]];
    for (const type of ["f32", "i32", "u32"]) {
      const fields = `struct U { a: ${type} } ${bare("U")}`;
      for (const value of strange) {
        const expected = value === undefined ? "KW-DISPATCH-NAME" : "KW-DISPATCH-UNIFORM";
        assertEquals(run(bare(type), value).code, expected);
        assertEquals(run(fields, { a: value }).code, "KW-DISPATCH-UNIFORM");
      }
      for (const value of [null, 1, "a", [1]]) assertEquals(run(fields, value).code, "KW-DISPATCH-UNIFORM");
    }
  });
});
