/** A kernel whose forward writes one of its inputs, as those with a cache do, right and with bugs planted. @module */
import { describe, it } from "@std/testing/bdd";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { dispatch, kernel, type KernelClass, Module, replaces, shader, Tensor } from "@kernelwright/sdk";
import { layer } from "@kernelwright/sdk/nn";
import { checkKernel, testKernel, type TestKernelOptions } from "@kernelwright/sdk/testing";
import { cacheWrite, relu } from "../../sdk/ops/mod.ts";

/** Keeps what comes in, and rectifies it. */
@layer("Keeper")
class Keeper extends Module {
  override forward(x: Tensor, position: Tensor, cache: Tensor): Tensor {
    cacheWrite(cache, x, position);
    return relu(x);
  }
}

/** A kernel of the above. `place` is where a value goes, `more` is a statement in the loop over values. */
function keeper(place: string, more = ""): KernelClass {
  const code = `
    @group(0) @binding(0) var<storage, read_write> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> position: array<i32>;
    @group(0) @binding(2) var<storage, read_write> cache: array<f32>;
    @group(0) @binding(3) var<storage, read_write> out: array<f32>;
    @group(0) @binding(4) var<uniform> params: Params;
    struct Params { tokens: u32, places: u32, size: u32, width: u32 }

    @compute @workgroup_size(1)
    fn main() {
      let first = u32(position[0]);
      for (var i = 0u; i < params.size; i++) {
        let row = i / params.width / params.tokens;
        let token = i / params.width % params.tokens;
        cache[(row * params.places + ${place}) * params.width + i % params.width] = x[i];
        out[i] = select(x[i], 0.0, x[i] < 0.0);
        ${more}
      }
    }`;
  const keep = shader({ name: "keep.wgsl", code });

  @kernel({ site: replaces(Keeper) })
  class KeeperKernel {
    forward(this: Keeper, x: Tensor, position: Tensor, cache: Tensor): Tensor {
      const out = Tensor.empty(x.shape);
      const [, tokens, heads, size] = x.shape;
      const params = { tokens, places: cache.shape[1], size: x.size, width: heads * size };
      dispatch(keep, { x, position, cache, out, params }, { workgroups: 1 });
      return out;
    }
  }
  return KeeperKernel;
}

const options = (written: boolean): TestKernelOptions => ({
  modules: () => [new Keeper()],
  inputs: ({ batch, tokens, width, before, after }) => [
    [batch, tokens, 1, width],
    { shape: [1], dtype: "i32", values: () => before },
    { shape: [batch, before + tokens + after, 1, width], written },
  ],
  shapes: [{ batch: 2, tokens: 3, width: 4, before: 2, after: 1 }],
  sizes: { tokens: { max: 5 }, width: { max: 5 }, before: { min: 0, max: 3 }, after: { min: 0, max: 3 } },
  runs: 3,
});

const RIGHT = "first + token";
const UNCHANGED = "inputs and weights left unchanged";
const PARITY = "parity with the modules";

testKernel(keeper(RIGHT), options(true));

describe({
  name: "an input that the forward writes",
  sanitizeOps: false, // the device stays open for the file
  sanitizeResources: false,
  fn: () => {
    it("counts as changed where the test does not say that it is written", async () => {
      const failed = await checkKernel(keeper(RIGHT), options(false));
      assertEquals([...failed.keys()], [UNCHANGED]);
      assertMatch(String(failed.get(UNCHANGED)), /changed "input 2"/);
    });

    it("must end as the original leaves it", async () => {
      const wrong = await checkKernel(keeper("(first + token + 1u) % params.places"), options(true));
      assertMatch(String(wrong.get(PARITY)), /"input 2": \d+ of 48 values of \[2, 6, 1, 4\] are too far off/);
      const more = await checkKernel(keeper(RIGHT, "cache[0] = 7.0;"), options(true));
      assertMatch(String(more.get(PARITY)), /"input 2": 1 of 48 values of \[2, 6, 1, 4\] are too far off/);
      assert(!wrong.has(UNCHANGED) && !more.has(UNCHANGED));
    });

    it("does not excuse writing another", async () => {
      const failed = await checkKernel(keeper(RIGHT, "position[0] = 0;"), options(true));
      assertMatch(String(failed.get(UNCHANGED)), /changed "input 1"/);
      const scaled = await checkKernel(keeper(RIGHT, "x[i] *= 0.5;"), options(true));
      assertMatch(String(scaled.get(UNCHANGED)), /changed "input 0"/);
    });
  },
});
