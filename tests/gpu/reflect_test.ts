import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { dispatch, openGpu, shader } from "../../sdk/gpu/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

/** A shader that adds one, in a body with a variable of the name. */
function addOne(name: string): string {
  return `
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> out: array<f32>;
    @group(0) @binding(2) var<uniform> params: Params;
    struct Params { count: u32 } // { a brace in a comment
    fn more(${name}: f32) -> f32 { if (${name} > 0.0) { return ${name} + 1.0; } return 1.0 + ${name}; }
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      let ${name} = min(params.count, 64u);
      if (id.x < ${name}) { out[id.x] = more(x[id.x]); }
    }`;
}

describe("the reflection of a shader", () => {
  gpuForFile();

  for (
    const name of ["block", "read", "write", "storage", "function", "private", "workgroup", "ptr", "uniform"]
  ) {
    it(`takes a variable called ${name}, as drivers do`, async () => {
      await openGpu();
      using x = Tensor.from([1, -2, 3]);
      using out = Tensor.empty([3]);
      dispatch(shader({ code: addOne(name) }), { x, out, params: { count: 3 } }, { workgroups: 1 });
      assertEquals([...await out.data()], [2, -1, 4]);
    });
  }

  it("still checks bindings by name", () => {
    using x = Tensor.from([1]);
    const error = assertThrows(
      () => dispatch(shader({ code: addOne("block") }), { x, params: { count: 1 } }, { workgroups: 1 }),
      KernelwrightError,
      '"out" got no tensor',
    );
    assertEquals(error.code, "KW-DISPATCH-NAME");
  });

  for (
    const [what, code] of [
      [
        "a declaration is wrong",
        addOne("n").replace("var<uniform> params: Params", "var<uniform> params Params"),
      ],
      ["a body is wrong", addOne("block").replace("let block", "let")],
      ["braces do not match", addOne("n").slice(0, -1)],
    ]
  ) {
    it(`says so at once where ${what}`, () => {
      const error = assertThrows(() => shader({ code }).variant(), KernelwrightError);
      assertEquals(error.code, "KW-SHADER-COMPILE");
    });
  }

  const groups = shader({
    code: `
      override W: u32 = 4; const H = 2; alias Tile = array<array<vec3f, W>, H>; struct Part { a: u32, b: vec3h }
      var<workgroup> tile: Tile; var<workgroup> unused: array<f32, 100000>; var<workgroup> parts: array<Part, W * 2u>;
      var<workgroup> flag: atomic<u32>;
      @group(0) @binding(0) var<storage, read_write> out: array<f32>;
      fn deep() { parts[0].a = 1u; } fn inner() { tile[0][0] = vec3f(); deep(); }
      @compute @workgroup_size(W * 2u, H) fn main() { inner(); out[0] = 0.0; }
      @compute @workgroup_size(64) fn other() { atomicAdd(&flag, 1u); }
      @compute @workgroup_size(dot(vec2(2, 2), vec2(2, 2))) fn odd() { out[0] = 0.0; }`,
    entryPoint: "main",
  }).variant({ T: "f16" }).reflection;
  for (
    const [entryPoint, constants, needs] of [
      ["main", {}, { size: [8, 2, 1], bytes: 16 * 4 * 2 + 16 * 8 }],
      ["main", { W: 16 }, { size: [32, 2, 1], bytes: 16 * 16 * 2 + 16 * 32 }],
      ["other", {}, { size: [64, 1, 1], bytes: 16 }],
      ["odd", {}, { size: undefined, bytes: 0 }], // the driver knows
    ] as const
  ) {
    it(`tells what a workgroup of ${entryPoint} takes, with ${JSON.stringify(constants)}`, () => {
      assertEquals(groups.workgroup(entryPoint, constants), needs);
    });
  }

  it("tells what is enabled, wherever it is written", () => {
    const enabled = (code: string) => [
      ...shader({ code: `${code} @compute @workgroup_size(1) fn main() {}` }).variant().reflection.enables,
    ];
    assertEquals(enabled("enable f16;"), ["f16"]);
    assertEquals(enabled("/* */ requires x; enable a, /* b, */ f16 ,;"), ["a", "f16"]);
    assertEquals(enabled("// enable f16;\n/* enable f16; */"), []);
  });

  it("counts a struct that ends in a runtime-sized array as a header and elements", () => {
    const [h] = shader({
      code: `struct H { a: u32, b: u32, c: u32, items: array<u32> } @group(0) @binding(0) var<storage> h: H;
        @compute @workgroup_size(1) fn main() { _ = h.a; }`,
    }).variant().reflection.storage;
    assertEquals([h.header, h.stride, h.least, h.count], [12, 4, 16, 0]);
  });
});
