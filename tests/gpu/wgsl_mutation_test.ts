import { assert } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { dispatch, type DispatchBindings, shader } from "../../sdk/gpu/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { type Form, FORMS } from "../helpers/wgsl_forms.ts";

/** What is put into code, in place of something or beside it. */
const PIECES = [
  ..."@(){}[]<>;:,.=+-*/%&|^!~_#\"'\\`$?\0",
  ..."array vec3 mat3x3f atomic<u32> struct var const override alias fn enable let if texture_2d<f32> sampler"
    .split(" "),
  ..."storage uniform workgroup @group @binding @id @size @align @compute @workgroup_size constructor __proto__"
    .split(" "),
  ..."-1 0 2147483648 4294967295 99999999999999999999 1e400 0x 0.5 100000000u 1h /* */ // >> << && == ++ -> \ufeff"
    .split(" "),
  ..." \n",
  "array<vec4f, 100000000>",
  "@group(2147483648)",
  "𝒳",
  "\ud800",
];

/** Cuts code at `at` (of 1), takes away `taken` characters and puts a piece there. */
type Mutation = readonly [at: number, taken: number, piece: string];
const mutation: fc.Arbitrary<Mutation> = fc.tuple(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.constantFrom(0, 0, 1, 1, 2, 5, 20),
  fc.constantFrom("", ...PIECES),
);

function mutate(code: string, mutations: readonly Mutation[]): string {
  for (const [where, taken, piece] of mutations) {
    const at = Math.floor(where * code.length);
    code = code.slice(0, at) + piece + code.slice(at + taken);
  }
  return code;
}

/** What a dispatch of mutated code throws; undefined if nothing. */
function errorOf(form: Form, code: string, out: Tensor): unknown {
  try {
    const bindings: DispatchBindings = { out, ...form.uniforms };
    dispatch(shader({ code }), bindings, { workgroups: 1, constants: form.constants, types: form.types });
    return undefined;
  } catch (e) {
    return e;
  }
}

describe("WGSL with mistakes", () => {
  gpuForFile();

  it("is taken or refused with our own errors, and soon, before a driver sees it", () => {
    using out = Tensor.empty([4], { device: "meta" });
    fc.assert(
      fc.property(
        fc.constantFrom(...FORMS),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        (form, m) => {
          const began = performance.now();
          const e = errorOf(form, mutate(form.code, m), out);
          assert(e === undefined || e instanceof KernelwrightError, String(e));
          assert(performance.now() - began < 2000, "it took long");
        },
      ),
      { numRuns: 4000 },
    );
  });

  it("is taken or refused with our own errors by the driver", async () => {
    const forms = FORMS.filter(({ code }) => !/\b(loop|while|for)\b/.test(code)); // these might never end
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...forms),
        fc.array(mutation, { minLength: 1, maxLength: 2 }),
        async (form, m) => {
          const code = mutate(form.code, m);
          if (/\b(loop|while|for)\b/.test(code)) return;
          using out = Tensor.zeros([4]);
          const e = errorOf(form, code, out) ?? await out.data().then(() => undefined, (e) => e);
          assert(e === undefined || e instanceof KernelwrightError, String(e));
        },
      ),
      { numRuns: 300 },
    );
  });
});
