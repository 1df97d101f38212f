import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { inContext, KernelwrightError } from "../../sdk/errors.ts";
import { dispatch, shader } from "../../sdk/gpu/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";

const body = (line: string) =>
  `// a norm
@group(0) @binding(0) var<storage, read_write> out: array<T>;
override WG: u32 = 64;

@compute @workgroup_size(WG) fn main(@builtin(global_invocation_id) id: vec3u) {
  let inv_rms_shared = 1.0;
  ${line}
}
`;

/** Dispatches code that does not compile, and returns what the next wait throws. */
async function messageOf(line: string, times = 1): Promise<string> {
  const broken = shader({ name: "rms_norm_mlp.wgsl", code: body(line) });
  let message = "";
  for (let i = 0; i < times; i++) {
    using out = Tensor.zeros([4]);
    inContext(
      { site: "model.layers.0.mlp", kernel: "RMSNormMLP" },
      () => dispatch(broken, { out }, { workgroups: 1, constants: { WG: 64 }, types: { T: "f32" } }),
    );
    message = (await assertRejects(() => out.data(), KernelwrightError)).message;
  }
  return message;
}

describe("a shader that does not compile", () => {
  gpuForFile();

  const expected =
    `KW-SHADER-COMPILE  RMSNormMLP at "model.layers.0.mlp" (T=f32, WG=64) rms_norm_mlp.wgsl:7:21
  no definition in scope for identifier "inv_rms"

    6 │   let inv_rms_shared = 1.0;
    7 │   out[id.x] = T(1 * inv_rms);
      │                     ^^^^^^^

  Did you mean "inv_rms_shared", declared at line 6?`;

  it("shows the author's line and a caret, the site, the dtype and the constants", async () => {
    assertEquals(await messageOf("out[id.x] = T(1 * inv_rms);"), expected);
  });

  const mistakes: [what: string, code: string, says: string, fix: string | undefined][] = [
    [
      "a type that dispatch was not given",
      "@group(0) @binding(0) var<storage, read_write> out: array<T>;\n@compute @workgroup_size(1) fn main() { out[0] = T(1); }",
      'no definition in scope for identifier "T"',
      "If it is a type that dispatch chooses, pass it: types: { T: x.dtype }.",
    ],
    [
      "a write to what is only read",
      "@group(0) @binding(0) var<storage, read> out: array<f32>;\n@compute @workgroup_size(1) fn main() { out[0] = 1.0; }",
      "Entry point main at Compute is invalid: writing to this location is not permitted",
      "Declare it var<storage, read_write> out.",
    ],
    [
      "a misspelt field",
      `struct P { cols: u32, rows: u32 }
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(1) fn main() { var p: P; out[0] = f32(p.cls); }`,
      'invalid field accessor "cls"',
      'Did you mean "cols"?',
    ],
  ];
  for (const [mistake, code, says, fix] of mistakes) {
    it(`says what to do about ${mistake}`, async () => {
      using out = Tensor.zeros([4]);
      const at = shader({ name: "mistaken.wgsl", code });
      const { diagnostic } = await assertRejects(async () => {
        dispatch(at, { out }, { workgroups: 1 }); // some are found here, some by the driver
        await out.data();
      }, KernelwrightError);
      assertEquals([diagnostic.code, diagnostic.what, diagnostic.fix], ["KW-SHADER-COMPILE", says, fix]);
    });
  }

  it("says it again at the next use", async () => {
    assertEquals(await messageOf("out[id.x] = T(1 * inv_rms);", 2), expected);
  });

  it("leaves the device usable", async () => {
    await messageOf("out[id.x] = nothing;");
    const good = shader({ name: "good.wgsl", code: body("out[id.x] = T(3);") });
    using out = Tensor.zeros([4]);
    dispatch(good, { out }, { workgroups: 1, types: { T: "f32" } });
    assertEquals(await out.data(), new Float32Array(4).fill(3));
  });

  it("leaves room for uniforms however often it happens", async () => {
    const code = `
      @group(0) @binding(0) var<storage, read_write> out: array<f32>;
      @group(0) @binding(1) var<uniform> table: array<vec4<f32>, 1024>;
      @compute @workgroup_size(1) fn main() { out[0] = table[1].x`;
    const table = Array.from({ length: 4096 }, (_, i) => i);
    for (let i = 0; i < 20; i++) { // 16 KiB each; the ring holds 256
      using out = Tensor.zeros([1]);
      dispatch(shader({ code: `${code} + x; }` }), { out, table }, { workgroups: 1 });
      await assertRejects(() => out.data(), KernelwrightError);
    }
    using out = Tensor.zeros([1]);
    dispatch(shader({ code: `${code}; }` }), { out, table }, { workgroups: 1 });
    assertEquals(await out.data(), Float32Array.of(4));
  });

  it("is shown by its line where it cannot even be parsed", () => {
    using out = Tensor.zeros([4]);
    const broken = shader({ name: "broken.wgsl", code: body("let = ;") });
    const { diagnostic } = assertThrows(
      () => dispatch(broken, { out }, { workgroups: 1, types: { T: "f32" } }),
      KernelwrightError,
    );
    assertEquals([diagnostic.code, diagnostic.where?.file, diagnostic.where?.line], [
      "KW-SHADER-COMPILE",
      "broken.wgsl",
      7,
    ]);
  });

  it("prepare() finds it before anything runs", async () => {
    const broken = shader({ name: "broken.wgsl", code: body("out[id.x] = nothing;") });
    const request = { variant: broken.variant({ T: "f32" }), constants: {} };
    const error = await assertRejects(() => gpu().pipelines.prepare([request]), KernelwrightError);
    assertEquals(error.diagnostic.where?.line, 7);
  });
});

describe("a driver's error", () => {
  gpuForFile();

  /** What is told of code that the driver refuses. */
  async function told(code: string, types?: Record<string, string>) {
    using out = Tensor.zeros([4]);
    dispatch(shader({ name: "told.wgsl", code }), { out }, { workgroups: 1, types });
    return (await assertRejects(() => out.data(), KernelwrightError)).diagnostic;
  }
  const out = "@group(0) @binding(0) var<storage, read_write> out: array<f32>;";

  it("keeps its reason", async () => {
    const diagnostic = await told(`${out}
      var<workgroup> w: array<f32, 4>;
      fn put(p: ptr<workgroup, array<f32, 4>>) { (*p)[0] = 1.0; }
      @compute @workgroup_size(1) fn main() { put(&w); out[0] = w[0]; }`);
    assertEquals(diagnostic.notes, [
      "Argument 'p' at index 0 is a pointer of space WorkGroup, which can't be passed into functions.",
    ]);
  });

  const places: [
    what: string,
    before: string,
    types: Record<string, string>,
    line: number,
    column: number,
  ][] = [
    ["without aliases", "", {}, 1, 1],
    ["behind aliases", "", { T: "f16", U: "u32" }, 1, 1],
    ["behind directives", "enable f16;\ndiagnostic(off, derivative_uniformity); // one\n\n", {}, 4, 1],
    ["behind directives and aliases", "// first\nenable f16;\n/* \n */\n", { T: "f16" }, 5, 1],
    ["in the line of the directives", "enable f16; ", { T: "f16", U: "u32" }, 1, 13],
    ["behind a byte-order mark", "\ufeff", { T: "f32" }, 1, 1],
    ["behind a byte-order mark and directives", "\ufeffenable f16;\n", { T: "f32" }, 2, 1],
  ];
  for (const [what, before, types, line, column] of places) {
    it(`stands at the author's line and column, ${what}`, async () => {
      const pad = "const wrong = missing;";
      const { where } = await told(
        `${before}${pad} ${out} @compute @workgroup_size(1) fn main() { out[0] = wrong; }`,
        types,
      );
      assertEquals([where?.line, where?.column], [line, column + 14]);
    });
    it(`stands there where our reader found it, ${what}`, () => {
      const { where } = assertThrows(
        () => shader({ code: `${before}const = 4;` }).variant(types),
        KernelwrightError,
      ).diagnostic;
      assertEquals([where?.line, where?.column], [line, column + 6]);
    });
  }
});

describe("a shader's entry point", () => {
  const two = "@compute @workgroup_size(1) fn first() {}\n@compute @workgroup_size(1) fn second() {}";

  it("must be named where there are several", () => {
    assertEquals(
      assertThrows(() => shader({ name: "two.wgsl", code: two }).variant(), KernelwrightError).message,
      "KW-SHADER-ENTRY  two.wgsl\n  The shader has 2 entry points\n  Name one as entryPoint: first, second.",
    );
    assertEquals(shader({ code: two, entryPoint: "second" }).variant().entryPoint, "second");
  });

  it("must exist", () => {
    assertEquals(
      assertThrows(
        () => shader({ name: "two.wgsl", code: two, entryPoint: "secnd" }).variant(),
        KernelwrightError,
      )
        .message,
      'KW-SHADER-ENTRY  two.wgsl\n  The shader has no entry point "secnd"\n  Did you mean "second"?',
    );
  });

  it("enables f16 for an alias that holds it", () => {
    const code = `@group(0) @binding(0) var<storage, read_write> out: array<V>;
      @compute @workgroup_size(1) fn main() { out[0] = V(); }`;
    const lines = (types: Record<string, string>) =>
      shader({ code }).variant(types).code.split("\n").slice(0, 2);
    assertEquals(lines({ V: "vec4<f16>" }), ["enable f16;", "alias V = vec4<f16>;"]);
    assertEquals(lines({ V: "vec4<f32>" })[0], "alias V = vec4<f32>;");
  });
});
