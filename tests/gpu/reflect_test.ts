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
});
