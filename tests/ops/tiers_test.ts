import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { record } from "../../sdk/gpu/mod.ts";
import { linear, matmul, withoutStandIns } from "../../sdk/ops/mod.ts";
import { withChoice } from "../../sdk/ops/matmul/choice.ts";
import { blockFor } from "../../sdk/ops/matmul/stand_in.ts";
import { shader } from "../../sdk/gpu/mod.ts";
import { scope, Tensor } from "../../sdk/tensor/mod.ts";
import { floatDTypes } from "../helpers/parity.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { values } from "../helpers/random.ts";
import { onAdapter } from "./on_adapter.ts";

const BEST = { rows: 16, columns: 16 };
const CHEAP = { rows: 8, columns: 4 };

/** A pipeline that no other test asks for. */
function request() {
  const code = `@group(0) @binding(0) var<storage, read_write> out: array<f32>;
    @compute @workgroup_size(1) fn main() { out[0] = ${Math.random()}; }`;
  return { variant: shader({ name: "tiers_test", code }).variant(), constants: {} };
}

describe("tiers of blocks", () => {
  gpuForFile();

  it("serve the cheap one until the best would have paid for its compilation", () =>
    onAdapter(true, () => {
      const [mine, other] = [request(), request()];
      const serve = (work: number, of = mine) => blockFor(BEST, work, () => of);
      assertEquals(serve(1e9), CHEAP);
      assertEquals(serve(1e9, other), CHEAP, "each shader has its own count");
      assertEquals(serve(1e9), CHEAP);
      assertEquals(serve(1e9), BEST);
      assertEquals(serve(1e12, other), BEST);
      assertEquals(blockFor({ rows: 8, columns: 8 }, 1e9, request), { rows: 8, columns: 8 });
      return Promise.resolve();
    }));

  it("take the best at once where it is there, small, asked for, recorded, timed, or not on a software adapter", () =>
    onAdapter(true, async () => {
      const small = { rows: 1, columns: 16 };
      assertEquals(blockFor(small, 1, request), small);
      assertEquals(withoutStandIns(() => blockFor(BEST, 1, request)), BEST);
      assertEquals(withChoice("block 16x16", () => blockFor(BEST, 1, request)), BEST);
      assertEquals(await onAdapter(false, () => Promise.resolve(blockFor(BEST, 1, request))), BEST);
      const known = request();
      await gpu().pipelines.prepare([known]);
      assertEquals(blockFor(BEST, 1, () => known), BEST);
      let recorded: unknown;
      record(() => {
        recorded = blockFor(BEST, 1, request);
        return Tensor.zeros([1]);
      }).dispose();
      assertEquals(recorded, BEST);
    }));

  it("compile the best beside, in a page", async () => {
    const { process } = globalThis as unknown as { process: { getBuiltinModule: unknown } };
    const before = process.getBuiltinModule;
    const wanted = request();
    const serve = () => blockFor(BEST, 1, () => wanted);
    process.getBuiltinModule = () => undefined;
    try {
      assertEquals(serve(), CHEAP);
      for (let i = 0; i < 1000 && !gpu().pipelines.has(wanted); i++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assertEquals(serve(), BEST);
      assertEquals(await gpu().pipelines.get(wanted).error, undefined);
    } finally {
      process.getBuiltinModule = before;
    }
  });

  it("give the same sums, bit for bit", async () => {
    for (const dtype of floatDTypes()) {
      for (const depth of [100, 101]) {
        const of = (shape: number[], seed: number) => {
          const data = values(shape[0] * shape[1], seed);
          return Tensor.from(dtype === "f16" ? Float16Array.from(data) : Float32Array.from(data), { shape });
        };
        const [x, w, b, bias] = [of([16, depth], 1), of([72, depth], 2), of([depth, 72], 3), of([1, 72], 4)];
        const all = [x, w, b, bias];
        for (const run of [() => linear(x, w, bias.reshape([72])), () => matmul(x, b)]) {
          const made: unknown[] = [];
          for (const choice of ["block 16x16", "block 8x8", "block 8x4"] as const) {
            using out = scope(() => withChoice(choice, run));
            made.push(await out.data());
          }
          assertEquals(made[1], made[0]);
          assertEquals(made[2], made[0]);
          assert((made[0] as Float32Array).some((v) => v !== 0));
        }
        for (const t of all) t.dispose();
      }
    }
  });
});
