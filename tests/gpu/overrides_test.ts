import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { dispatch, shader } from "../../sdk/gpu/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";

const code = `
  @id(7) override N: u32 = 1u;
  @id(1 + 7) override M: i32;
  const K = 9; @id(K) /* @id(3) */ override F = 0.5;
  override PLAIN: f32 = 2;
  @group(0) @binding(0) var<storage, read_write> out: array<f32>;
  @compute @workgroup_size(N) fn main() { out[0] = f32(N) + 10.0 * f32(M) + 100.0 * F + 1000.0 * PLAIN; }`;

async function run(constants: Record<string, number>, own?: Record<string, number>): Promise<number> {
  using out = Tensor.zeros([1]);
  dispatch(shader({ name: "ids.wgsl", code, constants: own }), { out }, { workgroups: 1, constants });
  return (await out.data())[0];
}

const typed = shader({
  name: "typed.wgsl",
  code: `override U: u32 = 1; override I: i32 = 1; override F: f32 = 1; override B: bool = false;
    override inferred = 4u; override half = true; alias T = u32; override aliased: T = 1u;
    @group(0) @binding(0) var<storage, read_write> out: array<f32>;
    @compute @workgroup_size(1) fn main() {
      out[0] = f32(U) + f32(I) + F + f32(B) + f32(inferred) + f32(half) + f32(aliased);
    }`,
});

describe("an override with an @id", () => {
  gpuForFile();

  it("is set by its name", async () => assertEquals(await run({ M: 2 }), 1 + 20 + 50 + 2000));
  it("is set by its number", async () =>
    assertEquals(await run({ 8: 2, 7: 3, 9: 0.25 }), 3 + 20 + 25 + 2000));
  it("is set beside one without", async () =>
    assertEquals(await run({ 8: 2, PLAIN: 1 }), 1 + 20 + 50 + 1000));
  it("is set by the shader and, on top, by the dispatch, whichever way each says it", async () => {
    assertEquals(await run({ M: 3 }, { 8: 2 }), 1 + 30 + 50 + 2000);
    assertEquals(await run({ 8: 3 }, { M: 2 }), 1 + 30 + 50 + 2000);
    assertEquals(await run({}, { 8: 2, N: 4 }), 4 + 20 + 50 + 2000);
  });

  it("is one pipeline, however it is set", async () => {
    const same = shader({ code });
    const before = gpu().pipelines.size;
    for (const constants of [{ M: 5 }, { 8: 5 }] as Record<string, number>[]) {
      using out = Tensor.zeros([1]);
      dispatch(same, { out }, { workgroups: 1, constants });
      assertEquals(await out.data(), Float32Array.of(2101));
    }
    assertEquals(gpu().pipelines.size - before, 1);
  });

  const refused: [what: string, constants: Record<string, number>, message: string][] = [
    ["is given twice", { M: 1, 8: 1 }, 'The override "M" is given twice'],
    ["has no value", { N: 1 }, 'The override "M" has no value'],
    ["has another number", { M: 1, 6: 1 }, "The shader has no override with @id(6)"],
    ["has the number in a comment", { M: 1, 3: 1 }, "The shader has no override with @id(3)"],
    ["has a number that is written otherwise", { "08": 1 }, "no override with @id(08)"],
  ];
  for (const [what, constants, message] of refused) {
    it(`is refused where it ${what}`, async () => {
      const error = await run(constants).then(() => undefined, (e) => e);
      assertEquals(
        [error?.code, error?.message.includes(message)],
        ["KW-SHADER-CONSTANT", true],
        error?.message,
      );
    });
  }
});

describe("a constant's value", () => {
  gpuForFile();

  const taken: [constants: Record<string, number>, sum: number][] = [
    [{}, 9],
    [{ U: 4294967040, I: 0, F: 0 }, 4294967046],
    [{ I: -3, B: 1 }, 6],
    [{ F: 0.5, inferred: 0 }, 4.5],
    [{ half: 0, aliased: 7 }, 14],
  ];
  for (const [constants, sum] of taken) {
    it(`is taken in the override's type: ${JSON.stringify(constants)}`, async () => {
      using out = Tensor.zeros([1]);
      dispatch(typed, { out }, { workgroups: 1, constants });
      assertEquals(await out.data(), Float32Array.of(sum));
    });
  }

  const refused: Record<string, number>[] = [
    { U: -1 },
    { U: 1.5 },
    { U: 2 ** 32 },
    { I: 2 ** 31 },
    { I: 0.5 },
    { F: 1e39 },
    { F: NaN },
    { B: 2 },
    { inferred: 0.5 },
    { inferred: -1 },
    { half: 3 },
    { aliased: -1 },
    { F: "1" as unknown as number },
    { F: null as unknown as number },
    { F: true as unknown as number },
    { toString: 1 as unknown as number & (() => string) },
  ];
  for (const constants of refused) {
    it(`is refused where the type cannot hold it: ${JSON.stringify(constants)}`, () => {
      using out = Tensor.zeros([1]);
      const error = assertThrows(
        () => dispatch(typed, { out }, { workgroups: 1, constants }),
        KernelwrightError,
      );
      assertEquals(error.code, "KW-SHADER-CONSTANT");
    });
  }

  it("is held against f16 too", async () => {
    const halves = shader({
      code: `enable f16; override H: f16 = 1.0h; override G = 2.0h;
        @group(0) @binding(0) var<storage, read_write> out: array<f32>;
        @compute @workgroup_size(1) fn main() { out[0] = f32(H) + f32(G); }`,
    });
    using out = Tensor.zeros([1]);
    dispatch(halves, { out }, { workgroups: 1 });
    assertEquals(await out.data(), Float32Array.of(3));
    for (const constants of [{ H: 70000 }, { G: -1e6 }] as Record<string, number>[]) {
      assertThrows(() => dispatch(halves, { out }, { workgroups: 1, constants }), KernelwrightError, "f16");
    }
  });
});
