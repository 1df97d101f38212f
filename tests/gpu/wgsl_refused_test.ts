import { assertEquals, assertLessOrEqual, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type ErrorCode, KernelwrightError } from "../../sdk/errors.ts";
import { dispatch, shader } from "../../sdk/gpu/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

const OUT = "@group(0) @binding(0) var<storage, read_write> out: array<f32>;";
const MAIN = "@compute @workgroup_size(1) fn main() { out[0] = 1.0; }";
const storage = (declared: string) => `${declared} var<storage, read> x: array<f32>; ${OUT} ${MAIN}`;
const uniform = (type: string, before = "") =>
  `${before} ${OUT} @group(0) @binding(1) var<uniform> u: ${type}; ${MAIN}`;

/** What is wrong, the code, the error's code, and words of its message. */
const REFUSED: readonly (readonly [what: string, code: string, error: ErrorCode, says: string])[] = [
  // what the SDK has no way to bind
  [
    "a texture",
    `@group(0) @binding(1) var t: texture_2d<f32>; ${OUT} ${MAIN}`,
    "KW-SHADER-BINDING",
    'the texture "t" (texture_2d)',
  ],
  [
    "a storage texture",
    `@group(0) @binding(1) var t: texture_storage_2d<rgba8unorm, write>; ${OUT} ${MAIN}`,
    "KW-SHADER-BINDING",
    'the texture "t"',
  ],
  [
    "a texture behind an alias",
    `alias T = texture_3d<f32>; @group(0) @binding(1) var t: T; ${OUT} ${MAIN}`,
    "KW-SHADER-BINDING",
    'the texture "t"',
  ],
  [
    "a sampler",
    `@group(0) @binding(1) var s: sampler; ${OUT} ${MAIN}`,
    "KW-SHADER-BINDING",
    'the sampler "s"',
  ],
  [
    "a comparing sampler",
    `@group(0) @binding(1) var s: sampler_comparison; ${OUT} ${MAIN}`,
    "KW-SHADER-BINDING",
    'the sampler "s"',
  ],
  [
    "an external texture",
    `@group(0) @binding(1) var s: texture_external; ${OUT} ${MAIN}`,
    "KW-SHADER-BINDING",
    'the texture "s"',
  ],
  [
    "immediate data",
    `var<immediate> n: u32; ${OUT} ${MAIN}`,
    "KW-SHADER-BINDING",
    '"n" in the address space "immediate"',
  ],
  [
    "two entry points that share a place",
    `@group(0) @binding(0) var<storage, read_write> a: array<f32>; @group(0) @binding(0) var<storage, read_write> b: array<u32>;
     @compute @workgroup_size(1) fn one() { a[0] = 1.0; } @compute @workgroup_size(1) fn two() { b[0] = 1u; }`,
    "KW-SHADER-BINDING",
    '"a" and "b" are both at @group(0) @binding(0)',
  ],
  [
    "a uniform at the place of a tensor",
    storage("@group(0) @binding(3) var<uniform> u: f32; @group(0) @binding(1 + 2)"),
    "KW-SHADER-BINDING",
    '"u" and "x" are both at',
  ],
  // numbers that are none
  ["a binding below zero", storage("@group(0) @binding(-1)"), "KW-SHADER-COMPILE", '@binding of "x" is -1'],
  [
    "a huge binding",
    storage("@group(0) @binding(99999999999999999999)"),
    "KW-SHADER-COMPILE",
    "is not within 64 bits",
  ],
  [
    "a large binding",
    storage("@group(0) @binding(4294967295)"),
    "KW-SHADER-COMPILE",
    '@binding of "x" is 4294967295',
  ],
  [
    "a huge group",
    storage("@group(99999999999) @binding(1)"),
    "KW-SHADER-COMPILE",
    '@group of "x" is 99999999999',
  ],
  [
    "a group of 2147483648",
    storage("@group(2147483648) @binding(1)"),
    "KW-SHADER-COMPILE",
    "must be 0 to 31",
  ],
  [
    "a group of 2147483647",
    storage("@group(2147483647u) @binding(1)"),
    "KW-SHADER-COMPILE",
    "must be 0 to 31",
  ],
  ["a group below zero", storage("@group(-2147483648) @binding(1)"), "KW-SHADER-COMPILE", "must be 0 to 31"],
  ["half a group", storage("@group(0.5) @binding(1)"), "KW-SHADER-COMPILE", "must be a whole number"],
  [
    "a binding that is an override",
    storage("override B: u32 = 1; @group(0) @binding(B)"),
    "KW-SHADER-COMPILE",
    '"B" is an override',
  ],
  [
    "a binding that is not declared",
    storage("@group(0) @binding(B)"),
    "KW-SHADER-COMPILE",
    'no constant "B"',
  ],
  [
    "a binding without a number",
    storage("@group(0) @binding()"),
    "KW-SHADER-COMPILE",
    "needs a number in @binding",
  ],
  ["no binding", storage("@group(0)"), "KW-SHADER-COMPILE", "needs a number in @binding"],
  ["no group", storage("@binding(1)"), "KW-SHADER-COMPILE", "needs a number in @group"],
  [
    "two numbers for a binding",
    storage("@group(0) @binding(1, 2)"),
    "KW-SHADER-COMPILE",
    "needs a number in @binding",
  ],
  ["a division by zero", storage("@group(0) @binding(1 / 0)"), "KW-SHADER-COMPILE", "division by zero"],
  [
    "a function that is not worked out",
    storage("@group(0) @binding(dot(vec2(1, 1), vec2(1, 0)))"),
    "KW-SHADER-COMPILE",
    "our reader",
  ],
  [
    "an override's number that is too large",
    `@id(65536) override N = 1; ${OUT} ${MAIN}`,
    "KW-SHADER-COMPILE",
    '@id of "N" is 65536',
  ],
  [
    "an override's number below zero",
    `@id(-1) override N = 1; ${OUT} ${MAIN}`,
    "KW-SHADER-COMPILE",
    '@id of "N" is -1',
  ],
  // types that are none
  [
    "an array of nothing",
    `@group(0) @binding(1) var<storage> x: array; ${OUT} ${MAIN}`,
    "KW-SHADER-COMPILE",
    '"array" needs the type',
  ],
  [
    "an empty list of types",
    `@group(0) @binding(1) var<storage> x: array<>; ${OUT} ${MAIN}`,
    "KW-SHADER-COMPILE",
    '"array" needs the type',
  ],
  ["an array of three things", uniform("array<f32, 4, 4>"), "KW-SHADER-COMPILE", '"array" needs the type'],
  ["a vector of nothing", uniform("vec3"), "KW-SHADER-COMPILE", '"vec3" needs one type'],
  [
    "no type",
    `@group(0) @binding(1) var<storage> x = 3; ${OUT} ${MAIN}`,
    "KW-SHADER-COMPILE",
    '"x" needs a type',
  ],
  ["a number as a type", uniform("4"), "KW-SHADER-COMPILE", "expected a type"],
  ["an unknown type", uniform("vec5f"), "KW-SHADER-COMPILE", 'identifier "vec5f"'],
  [
    "a pointer in a buffer",
    uniform("ptr<function, f32>"),
    "KW-SHADER-COMPILE",
    "not a type that a buffer can hold",
  ],
  [
    "a struct that contains itself",
    uniform("S", "struct S { a: array<S, 2> }"),
    "KW-SHADER-COMPILE",
    '"S" contains itself',
  ],
  ["aliases in a circle", uniform("A", "alias A = B; alias B = A;"), "KW-SHADER-COMPILE", "contains itself"],
  [
    "constants in a circle",
    uniform("array<vec4f, A>", "const A = B; const B = A + 1;"),
    "KW-SHADER-COMPILE",
    "depends on itself",
  ],
  ["an array of no elements", uniform("array<vec4f, 0>"), "KW-SHADER-COMPILE", "an array's count is 0"],
  ["an array of fewer than none", uniform("array<vec4f, -4>"), "KW-SHADER-COMPILE", "an array's count is -4"],
  [
    "an array by an override",
    uniform("array<vec4f, N>", "override N = 4u;"),
    "KW-SHADER-COMPILE",
    '"N" is an override',
  ],
  [
    "a name of every object as a type",
    uniform("constructor"),
    "KW-SHADER-COMPILE",
    'identifier "constructor"',
  ],
  ["a constant as a type", uniform("K", "const K = 4;"), "KW-SHADER-COMPILE", '"K" is not a type'],
  // sizes
  ["a uniform of 1.6 GB", uniform("array<vec4f, 100000000>"), "KW-GPU-LIMIT", "1600000000 bytes"],
  [
    "a uniform of arrays of arrays",
    uniform("array<array<array<vec4f, 1000>, 1000>, 1000>"),
    "KW-GPU-LIMIT",
    "16000000000 bytes",
  ],
  [
    "a uniform with a huge member",
    uniform("S", "struct S { a: f32, @size(2000000000) b: f32 }"),
    "KW-GPU-LIMIT",
    "bytes",
  ],
  [
    "a type beyond all numbers",
    uniform("array<array<array<vec4f, 4000000000>, 4000000000>, 4000000000>"),
    "KW-SHADER-COMPILE",
    "too large",
  ],
  [
    "structs that double and double",
    uniform(
      "S60",
      `struct S0 { a: vec4f } ${
        Array.from({ length: 60 }, (_, i) => `struct S${i + 1} { a: S${i}, b: S${i} }`).join(" ")
      }`,
    ),
    "KW-SHADER-COMPILE",
    "too large",
  ],
  ["f16 in a uniform", uniform("vec2<f16>", "enable f16;"), "KW-DISPATCH-UNIFORM", "Cannot pack"],
  // depth
  [
    "many brackets",
    storage(`@group(0) @binding(${"(".repeat(100000)}1${")".repeat(100000)})`),
    "KW-SHADER-COMPILE",
    "nested too deeply",
  ],
  [
    "many signs",
    storage(`@group(0) @binding(${"- ".repeat(100000)}1)`),
    "KW-SHADER-COMPILE",
    "nested too deeply",
  ],
  [
    "a long sum",
    storage(`@group(0) @binding(0${"+ 0".repeat(100000)})`),
    "KW-SHADER-COMPILE",
    "nested too deeply",
  ],
  [
    "many template lists",
    uniform(`${"array<".repeat(100000)}f32${">".repeat(100000)}`),
    "KW-SHADER-COMPILE",
    "nested too deeply",
  ],
  [
    "many aliases",
    uniform(
      "A0",
      `${Array.from({ length: 5000 }, (_, i) => `alias A${i} = A${i + 1};`).join("")} alias A5000 = f32;`,
    ),
    "KW-SHADER-COMPILE",
    "nested too deeply",
  ],
  [
    "many constants",
    uniform(
      "array<vec4f, A0>",
      `${Array.from({ length: 5000 }, (_, i) => `const A${i} = A${i + 1};`).join("")} const A5000 = 1;`,
    ),
    "KW-SHADER-COMPILE",
    "nested too deeply",
  ],
  // what is no WGSL at all
  ["a comment without an end", `${OUT} /* /* */ ${MAIN}`, "KW-SHADER-COMPILE", "the comment has no end"],
  [
    "a brace that is never closed",
    `${OUT} @compute @workgroup_size(1) fn main() { if (true) { out[0] = 1.0; }`,
    "KW-SHADER-COMPILE",
    "is never closed",
  ],
  [
    "brackets that cross",
    `${OUT} @compute @workgroup_size(1) fn main() { out[(0]) = 1.0; }`,
    "KW-SHADER-COMPILE",
    "does not close",
  ],
  ["a brace too many", `${OUT} ${MAIN} }`, "KW-SHADER-COMPILE", "expected a declaration"],
  [
    "a misspelt keyword",
    `${OUT} vat x: f32; ${MAIN}`,
    "KW-SHADER-COMPILE",
    'expected a declaration, and got "vat"',
  ],
  [
    "a value that is missing",
    `${OUT} @compute @workgroup_size(1) fn main() { out[0] = ; }`,
    "KW-SHADER-COMPILE",
    "expected a value",
  ],
  ["another language", "#version 450\nvoid main() {}", "KW-SHADER-COMPILE", "expected a declaration"],
  ["nothing", "", "KW-SHADER-ENTRY", "no @compute function"],
  ["only a byte-order mark", "\ufeff", "KW-SHADER-ENTRY", "no @compute function"],
];

describe("a shader is refused by our own error, at once, for", () => {
  gpuForFile();

  for (const [what, code, expected, says] of REFUSED) {
    it(what, () => {
      using out = Tensor.empty([4], { device: "meta" });
      using x = Tensor.empty([4], { device: "meta" });
      const began = performance.now();
      const error = assertThrows(
        () => dispatch(shader({ code }), { out, x, u: 1 }, { workgroups: 1 }),
        KernelwrightError,
        says,
      );
      assertEquals(error.code, expected);
      assertLessOrEqual(performance.now() - began, 5000); // so that what hangs is found
    });
  }

  for (const code of [undefined, null, 4, {}, new Uint8Array(4)]) {
    it(`code that is ${code === null ? "null" : typeof code}, and no text`, () => {
      const error = assertThrows(() => shader({ code: code as unknown as string }), KernelwrightError);
      assertEquals(error.code, "KW-ARGUMENT");
    });
  }

  it("what only our reader may be wrong about, and says so", () => {
    const { diagnostic } = assertThrows(
      () =>
        shader({ name: "a.wgsl", code: storage("@group(0)\n  @binding(dot(vec2(1, 1), vec2(1, 0)))") })
          .variant(),
      KernelwrightError,
    );
    assertEquals(diagnostic.notes, [
      "This is what the SDK's own reader of declarations says, and no driver has seen the shader yet.",
    ]);
    assertEquals([diagnostic.where?.line, diagnostic.where?.column], [2, 12]);
  });
});
