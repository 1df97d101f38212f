import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { dispatch, type DispatchBindings, shader } from "../../sdk/gpu/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";

const double = shader({
  name: "double.wgsl",
  code: `
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> out: array<f32>;
    @group(0) @binding(2) var<uniform> params: Params;
    struct Params { rows: u32, eps: f32 }
    override WG: u32 = 64;
    override SHIFT: f32;
    @compute @workgroup_size(WG) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < params.rows) { out[id.x] = 2 * x[id.x] + params.eps + SHIFT; }
    }`,
});
const wide = shader({
  name: "wide.wgsl",
  code: `
    @group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
    @group(0) @binding(1) var<storage, read> table: array<f32, 8>;
    @group(0) @binding(2) var<storage, read_write> out: array<f32>;
    @compute @workgroup_size(1) fn main() { out[0] = x[0].x + table[0]; }`,
});

describe("dispatch()", () => {
  gpuForFile();

  const meta = (n: number, name?: string, dtype: "f32" | "f16" = "f32") =>
    Tensor.empty([n], { device: "meta", name, dtype });
  const x = meta(4, "x");
  const out = meta(4);
  const params = { rows: 4, eps: 0.5 };
  const run = (
    bindings: DispatchBindings,
    workgroups: number | [number, number] = 1,
    constants = { SHIFT: 0 },
  ) => dispatch(double, bindings, { workgroups, constants });

  it("runs a shader with tensors, uniforms and constants by name", async () => {
    using x = Tensor.from([1, 2, 3]);
    using out = Tensor.zeros([3]);
    dispatch(double, { x, out, params: { rows: 2, eps: 0.5 } }, { workgroups: 1, constants: { SHIFT: 100 } });
    assertEquals(await out.data(), Float32Array.of(102.5, 104.5, 0));
  });

  it("uses each dispatch's own uniforms, though they share a pass", async () => {
    using x = Tensor.from([1]);
    const outs = Array.from({ length: 5 }, () => Tensor.zeros([1]));
    outs.forEach((out, eps) => run({ x, out, params: { rows: 1, eps } }));
    for (const [eps, out] of outs.entries()) {
      assertEquals(await out.data(), Float32Array.of(2 + eps));
      out.dispose();
    }
  });

  it("runs nothing for zero workgroups", () => {
    using x = Tensor.zeros([0]);
    using out = Tensor.zeros([0]);
    const before = gpu().stream.dispatches;
    run({ x, out, params }, 0);
    assertEquals(gpu().stream.dispatches, before);
  });

  it("tells a shader how long its tensors are", async () => {
    const length = shader({
      code: `
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read_write> out: array<u32>;
        @compute @workgroup_size(1) fn main() { out[0] = arrayLength(&x); }`,
    });
    for (const n of [1, 2, 3, 5, 17]) {
      using x = Tensor.zeros([n]);
      using out = Tensor.zeros([1], { dtype: "u32" });
      dispatch(length, { x, out }, { workgroups: 1 });
      assertEquals(await out.data(), Uint32Array.of(n));
    }
  });

  const mistakes: [what: string, run: () => void, message: string][] = [
    [
      "a binding that is missing",
      () => run({ x, params }),
      'KW-DISPATCH-NAME  tensor "out" double.wgsl\n  The shader\'s binding "out" got no tensor',
    ],
    [
      "a misspelt binding",
      () => run({ x, output: out, params }),
      'KW-DISPATCH-NAME  tensor "out" double.wgsl\n  The shader\'s binding "out" got no tensor\n' +
      "  Given, but not in the shader: output.",
    ],
    [
      "a binding too many",
      () => run({ x, out, params, parms: 3 }),
      'KW-DISPATCH-NAME  double.wgsl\n  The shader has no binding "parms"\n  Did you mean "params"?',
    ],
    [
      "numbers where a tensor belongs",
      () => run({ x: 3, out, params }),
      'KW-DISPATCH-NAME  tensor "x" double.wgsl\n  The binding "x" takes a tensor, and got something else',
    ],
    [
      "a tensor where a uniform belongs",
      () => run({ x, out, params: x }),
      'KW-DISPATCH-NAME  tensor "params" double.wgsl\n  The binding "params" takes a uniform, and got something else',
    ],
    [
      "another dtype",
      () => run({ x: meta(4, "x", "f16"), out, params }),
      'KW-DISPATCH-DTYPE  tensor "x" double.wgsl\n  The binding "x" is array<f32>, and got f16 [4]\n' +
      "  Give a tensor whose elements are f32, or declare the binding with an alias and pass types.",
    ],
    [
      "a size that is not a multiple of the element",
      () => dispatch(wide, { x: meta(5), table: meta(8), out }, { workgroups: 1 }),
      'KW-DISPATCH-SIZE  tensor "x" wide.wgsl\n' +
      '  The binding "x" has elements of 16 bytes (vec4<f32>), and got f32 [5], 20 bytes\n' +
      "  Pad the tensor, or write a variant of the shader that takes single elements.",
    ],
    [
      "a tensor shorter than a fixed array",
      () => dispatch(wide, { x, table: meta(7), out }, { workgroups: 1 }),
      'KW-DISPATCH-SIZE  tensor "table" wide.wgsl\n' +
      '  The binding "table" has 8 elements, 32 bytes, and got f32 [7], 28 bytes',
    ],
    [
      "one memory for reading and writing",
      () => run({ x, out: x.reshape([2, 2]), params }),
      'KW-DISPATCH-ALIAS  double.wgsl\n  "out" and "x" are the same memory, and the shader writes "out"\n' +
      "  Write to a tensor of its own: Tensor.empty(…).",
    ],
    [
      "a uniform field that is missing",
      () => run({ x, out, params: { rows: 4 } }),
      'KW-DISPATCH-UNIFORM  double.wgsl\n  The uniform field "params.eps" has no value\n  Fields: rows, eps.',
    ],
    [
      "a misspelt uniform field",
      () => run({ x, out, params: { ...params, epz: 1 } }),
      'KW-DISPATCH-UNIFORM  double.wgsl\n  The uniform "params" has no field "epz"\n  Did you mean "eps"?',
    ],
    [
      "a fraction in a whole field",
      () => run({ x, out, params: { rows: 1.5, eps: 1 } }),
      'KW-DISPATCH-UNIFORM  double.wgsl\n  The uniform field "params.rows" is u32, and got 1.5',
    ],
    [
      "too many numbers for a field",
      () => run({ x, out, params: { rows: 4, eps: [1, 2] } }),
      'KW-DISPATCH-UNIFORM  double.wgsl\n  The uniform field "params.eps" takes 1 numbers, and got 2',
    ],
    [
      "half a workgroup",
      () => run({ x, out, params }, 0.5),
      "KW-DISPATCH-WORKGROUPS  double.wgsl\n  Cannot dispatch [0.5, 1, 1] workgroups\n" +
      "  Give whole numbers that are not negative.",
    ],
  ];
  for (const [what, broken, message] of mistakes) {
    it(`refuses ${what}, on meta too`, () => {
      assertEquals(assertThrows(broken, KernelwrightError).message, message);
    });
  }

  const live: [what: string, run: (x: Tensor, out: Tensor) => void, message: string][] = [
    [
      "more workgroups than a dimension has",
      (x, out) => run({ x, out, params }, 65536),
      "KW-DISPATCH-WORKGROUPS  double.wgsl\n" +
      "  Cannot dispatch [65536, 1, 1] workgroups: the adapter allows 65535 in each dimension\n" +
      "  Spread them over two dimensions, or loop in the shader.",
    ],
    [
      "an override without a value",
      (x, out) => dispatch(double, { x, out, params }, { workgroups: 1 }),
      'KW-SHADER-CONSTANT  double.wgsl\n  The override "SHIFT" has no value\n' +
      "  Give it in constants: { SHIFT: … }.",
    ],
    [
      "a misspelt constant",
      (x, out) => dispatch(double, { x, out, params }, { workgroups: 1, constants: { SHIFT: 1, SHFT: 1 } }),
      'KW-SHADER-CONSTANT  (SHIFT=1, SHFT=1) double.wgsl\n  The shader has no override "SHFT"\n' +
      '  Did you mean "SHIFT"?',
    ],
    [
      "a constant that is not a number",
      (x, out) => dispatch(double, { x, out, params }, { workgroups: 1, constants: { SHIFT: NaN } }),
      'KW-SHADER-CONSTANT  (SHIFT=NaN) double.wgsl\n  The override "SHIFT" got NaN\n  Give a finite number.',
    ],
    [
      "a tensor that has not been loaded",
      (x) => run({ x, out: meta(4, "up.weight"), params }),
      'KW-TENSOR-DEVICE  tensor "up.weight" double.wgsl\n' +
      '  Cannot dispatch: "up.weight" f32 [4] is on the device "meta"\n  Load its values first.',
    ],
    [
      "the reference device",
      (x) => run({ x, out: Tensor.zeros([4], { device: "reference" }), params }),
      'KW-DISPATCH-DEVICE  double.wgsl\n  Cannot dispatch: a tensor f32 [4] is on the device "reference"\n' +
      "  Shaders run on webgpu only; the reference device runs the original modules.",
    ],
  ];
  for (const [what, broken, message] of live) {
    it(`refuses ${what}`, () => {
      using x = Tensor.zeros([4]);
      using out = Tensor.zeros([4]);
      assertEquals(assertThrows(() => broken(x, out), KernelwrightError).message, message);
    });
  }

  it("refuses a released tensor", () => {
    const x = Tensor.zeros([4], { name: "x" });
    x.dispose();
    using out = Tensor.zeros([4]);
    assertEquals(
      assertThrows(() => run({ x, out, params }), KernelwrightError).message,
      'KW-TENSOR-RELEASED  tensor "x"\n  Cannot use "x" f32 [4]: its memory has been released\n' +
        "  Return it from the scope or forward that made it, or call keep() on it there.",
    );
  });
});
