import type { DispatchBindings } from "../../sdk/gpu/mod.ts";

/** One way to write WGSL; `out` gets what is expected. */
export interface Form {
  readonly what: string;
  readonly code: string;
  readonly out: number;
  readonly uniforms?: DispatchBindings;
  readonly constants?: Record<string, number>;
  readonly types?: Record<string, string>;
}

const OUT = "@group(0) @binding(0) var<storage, read_write> out: array<f32>;";
const main = (body: string, size = "1") =>
  `@compute @workgroup_size(${size}) fn main(@builtin(local_invocation_index) lane: u32) { ${body} }`;
/** Adds up how many invocations a workgroup has. */
const counted = (size: string) =>
  `${OUT} var<workgroup> n: atomic<u32>;
   ${main("atomicAdd(&n, 1u); workgroupBarrier(); if (lane == 0u) { out[0] = f32(atomicLoad(&n)); }", size)}`;

/** Valid WGSL, written in many ways. */
export const FORMS: readonly Form[] = [
  // comments
  {
    what: "block comments inside each other",
    code: `/* a /* b */ @group(9) */ ${OUT} ${main("/* { /* } */ */ out[0] = 1.0;")}`,
    out: 1,
  },
  {
    what: "declarations in comments",
    code: `// @group(0) @binding(0) var<storage> no: array<f32>; /*
      ${OUT} // override N: u32;
      ${main("out[0] = 2.0; // }\n")}`,
    out: 2,
  },
  {
    what: "an override behind a comment in a comment",
    code: `${OUT} /* // */ override N = 3.0; ${main("out[0] = N;")}`,
    out: 3,
  },
  {
    what: "comments inside declarations",
    code: `@group(/* 1 */ 0) @binding(0 // 2
      ) var</* read */storage, read_write> out /**/: array<f32 /*, 4*/>; ${main("out[0] = 4.0;")}`,
    out: 4,
  },
  {
    what: "a carriage return that ends a line comment",
    code: `${OUT} // x\r${main("out[0] = 4.5;")}`,
    out: 4.5,
  },
  // directives and aliases
  { what: "a byte-order mark", code: `\ufeff${OUT} ${main("out[0] = 5.0;")}`, out: 5 },
  {
    what: "f16 twice in one directive",
    code: `enable f16, f16; ${OUT} ${main("out[0] = f32(6.0h);")}`,
    out: 6,
  },
  {
    what: "f16 with a comma behind it",
    code: `enable f16,; ${OUT} ${main("out[0] = f32(6.5h);")}`,
    out: 6.5,
  },
  {
    what: "aliases behind the author's directives",
    code: `enable f16;\n${OUT} ${main("var t: T = 7.0h; out[0] = f32(t);")}`,
    types: { T: "f16" },
    out: 7,
  },
  {
    what: "aliases behind directives in comments and lists",
    code: `/* enable x; */ // enable y;
      enable /* that */ f16 , f16 ; diagnostic(off, derivative_uniformity);
      ${OUT} ${main("var t: T = 8.0h; out[0] = f32(t);")}`,
    types: { T: "f16", U: "u32" },
    out: 8,
  },
  {
    what: "aliases where all is one line",
    code: `diagnostic(off,derivative_uniformity);${OUT}${main("var t: V = V(9.0); out[0] = f32(t.y);")}`,
    types: { V: "vec4<f16>" },
    out: 9,
  },
  {
    what: "aliases of short names of f16",
    code: `${OUT}${main("var t: V = V(9.5); out[0] = f32(t.y);")}`,
    types: { V: "vec2h" },
    out: 9.5,
  },
  {
    what: "aliases of arrays of f16",
    code: `${OUT}${main("var t = T(V(9.5), V()); out[0] = f32(t[0].y);")}`,
    types: { T: "array<vec4h, 2>", V: "vec4<f16>" },
    out: 9.5,
  },
  {
    what: "aliases of arrays of f16 by their short names",
    code: `${OUT}${main("var t: T; t[1].y = 9.75; out[0] = f32(t[1].y);")}`,
    types: { T: "array<vec4h, 2>" },
    out: 9.75,
  },
  {
    what: "a directive that is only a comment",
    code: `// enable f16;\n${OUT} ${main("var t: T = 9.25h; out[0] = f32(t);")}`,
    types: { T: "f16" },
    out: 9.25,
  },
  // constants
  {
    what: "places that are worked out",
    code: `const B = 1; alias U = u32; const C: U = U(B) + 2u * 2;
      @group(B - 1) @binding(C) var<storage, read_write> out: array<f32>;
      @group(0) @binding(B + 1) var<uniform> p: f32; ${main("out[0] = p;")}`,
    uniforms: { p: 10 },
    out: 10,
  },
  {
    what: "places in hexadecimal",
    code: `@binding(0x0Au) @group(0x0) var<storage, read_write> out: array<f32>; ${main("out[0] = 11.0;")}`,
    out: 11,
  },
  {
    what: "a comma behind an attribute's number",
    code: `@group(0,) @binding(0,) var<storage, read_write,> out: array<f32,>; ${
      main("out[0] = 11.5;", "1,1,")
    }`,
    out: 11.5,
  },
  { what: "a workgroup that is worked out", code: `override W: u32 = 2; ${counted("W * 2u")}`, out: 4 },
  {
    what: "a workgroup of a constant given",
    code: `override W: u32 = 2; ${counted("W * 2u, W")}`,
    constants: { W: 4 },
    out: 32,
  },
  {
    what: "an override that depends on another",
    code: `override A: u32; override B = A * 3u; ${OUT} ${main("out[0] = f32(B);")}`,
    constants: { A: 4 },
    out: 12,
  },
  {
    what: "counts of arrays that are worked out",
    code: `const N = 2u; struct S { a: array<vec4<f32>, (N + 1) * 2u>, b: f32 } ${OUT}
      @group(0) @binding(1) var<uniform> s: S; ${main("out[0] = s.b + s.a[5].w;")}`,
    uniforms: { s: { a: Array.from({ length: 24 }, (_, i) => i), b: 100 } },
    out: 123,
  },
  {
    what: "counts by functions and comparisons",
    code: `const N = max(2, 5) - select(1, 2, 3 < 4 && !(1 > 2)); const M = N << 1u >> 1u; ${OUT}
      @group(0) @binding(1) var<uniform> s: array<vec4f, M>; ${main("out[0] = s[N - 1].x;")}`,
    uniforms: { s: Array.from({ length: 12 }, (_, i) => i) },
    out: 8,
  },
  { what: "a workgroup from a vector", code: `const WG = vec3u(4, 2, 1); ${counted("WG.x, WG[1]")}`, out: 8 },
  {
    what: "a type's own count in workgroup memory",
    code: `override N: u32 = 4; ${OUT} var<workgroup> w: array<f32, N * 2u>; ${
      main("w[7] = 13.0; out[0] = w[7];")
    }`,
    out: 13,
  },
  // statements and names
  {
    what: "const_assert, outside and in a function",
    code: `const_assert 1 < 2; ${OUT} ${main("const_assert(2 > 1); out[0] = 14.0;")}`,
    out: 14,
  },
  {
    what: "a function called block",
    code: `fn block(x: f32) -> f32 { return x; } ${OUT} ${main("out[0] = block(15.0);")}`,
    out: 15,
  },
  {
    what: "functions with the names of what WGSL knows",
    code: `fn immediate() -> f32 { return 15.5; } fn texture() {} ${OUT} ${
      main("texture(); out[0] = immediate();")
    }`,
    out: 15.5,
  },
  {
    what: "letters of other alphabets",
    code: `struct Größe { höhe: f32 } ${OUT} @group(0) @binding(1) var<uniform> größe: Größe; ${
      main("let 長さ = größe.höhe; out[0] = 長さ;")
    }`,
    uniforms: { größe: { höhe: 16 } },
    out: 16,
  },
  {
    what: "names that every object has",
    code:
      `struct constructor { toString: f32 } ${OUT} @group(0) @binding(1) var<uniform> valueOf: constructor; ${
        main("out[0] = valueOf.toString;")
      }`,
    uniforms: { valueOf: { toString: 16.5 } as unknown as Record<string, number> },
    out: 16.5,
  },
  {
    what: "template lists that end together",
    code:
      `alias A = array<vec4<f32>>; alias B = array<array<vec2<f32>,2>>; ${OUT} var<private> a: array<vec2<f32>,2>= array<vec2<f32>,2>(vec2<f32>(17.0),vec2<f32>(1.0)); ${
        main("out[0] = a[0].y;")
      }`,
    out: 17,
  },
  {
    what: "pointers to workgroup memory",
    code: `var<workgroup> w: array<f32, 4>; alias P = ptr<workgroup, array<f32, 4>>; ${OUT} ${
      main("let p: P = &w; (*p)[0] = 18.0; out[0] = w[0];")
    }`,
    out: 18,
  },
  {
    what: "comparisons that look like templates",
    code: `${OUT} ${
      main(
        "let a = 1; let b = 2; let c = 3; if (a < b && c > b) { out[0] = select(0.0, 19.0, (a < b) == (c > (b))); }",
      )
    }`,
    out: 19,
  },
  {
    what: "shifts, increments and compound assignments",
    code: `${OUT} ${
      main(
        "var i = 1u; i <<= 3u; i >>= 1u; i++; i--; i |= 16u; i ^= 1u; for (var k = 0; k < 2; k++) { i += 1u; } out[0] = f32(i);",
      )
    }`,
    out: 23,
  },
  {
    what: "switch, loop and while",
    code: `${OUT} ${
      main(
        "var i = 0; loop { if (i >= 3) { break; } continuing { i++; } } while (i < 5) { i += 1; } switch i { case 4, 5: { out[0] = 20.0; } default { out[0] = 0.0; } }",
      )
    }`,
    out: 20,
  },
  { what: "a value that is thrown away", code: `${OUT} ${main("_ = 1 + 2; out[0] = -(-21.0);")}`, out: 21 },
  {
    what: "semicolons more than needed",
    code: `;;${OUT};; struct S { a: f32 }; ${main("out[0] = 22.0;;")};`,
    out: 22,
  },
  {
    what: "attributes of functions and parameters",
    code:
      `@diagnostic(off, derivative_uniformity) @must_use fn f() -> f32 { return 23.0; } ${OUT} @workgroup_size(1, 1, 1) @compute fn main(@builtin(workgroup_id) id: vec3<u32>,) { out[id.x] = f(); }`,
    out: 23,
  },
  {
    what: "declarations in any order",
    code: `${main("out[0] = f();")} fn f() -> f32 { return K; } const K = L; const L = 24.0; ${OUT}`,
    out: 24,
  },
  {
    what: "a struct behind its use",
    code:
      `${OUT} @group(0) @binding(1) var<uniform> p: P; alias P = Q; struct Q { a: V, b: f32 } alias V = vec3f; ${
        main("out[0] = p.b + p.a.z;")
      }`,
    uniforms: { p: { a: [1, 2, 3], b: 22 } },
    out: 25,
  },
  {
    what: "@align and @size",
    code:
      `const E = 32; struct P { a: f32, @align(E) b: f32, @size(E * 2) c: u32, d: f32 } ${OUT} @group(0) @binding(1) var<uniform> p: P; ${
        main("out[0] = p.a + 2.0 * p.b + 4.0 * f32(p.c) + 8.0 * p.d;")
      }`,
    uniforms: { p: { a: 1, b: 2, c: 3, d: 4 } },
    out: 49,
  },
  {
    what: "an entry point among others",
    code: `@vertex fn v() -> @builtin(position) vec4<f32> { return vec4<f32>(); } ${OUT} ${
      main("out[0] = 26.0;")
    }`,
    out: 26,
  },
];
