/** Kernels in a model that is loaded on the GPU: what memory it takes, and that it comes back. */
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { keep, kernelize, memory, Module, scope, Tensor, unkernelize } from "@kernelwright/sdk";
import { Linear } from "@kernelwright/sdk/nn";
import { fuse, fuseParallel, replace } from "@kernelwright/sdk/config";
import { assertClose } from "../helpers/assert_close.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { Block, Mixer, Norm, NormForward, NormMLP, QKV, Stack, WIDTH } from "./fixtures.ts";
import { fill, leavesUnchanged, outputOf } from "./unchanged.ts";

const chain = fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP);
const qkv = fuseParallel([["Linear", "layers.*.q"], ["Linear", "layers.*.k"], ["Linear", "layers.*.v"]], QKV);
const INPUT = [2, 3, WIDTH];
const output = (model: Module, shape = INPUT) => outputOf(model, shape, "webgpu");
const loaded = <M extends Module>(model: M): M => fill(model, "webgpu");

/** What is alive, after everything has run and free buffers are gone. */
function alive(): { tensors: number; buffers: number; bytes: number } {
  gpu().trim();
  const { tensors, buffers, bytes } = memory();
  return { tensors, buffers, bytes };
}

gpuForFile();

describe("a loaded model", () => {
  it("computes the same with kernels, and the same bytes come back", async () => {
    using model = loaded(new Stack());
    const plain = await output(model);
    await leavesUnchanged(model, async () => {
      for (const kernels of [[chain], [replace("RMSNorm", Norm)], [replace("RMSNorm", NormForward)]]) {
        await kernelize(model, { kernels });
        assertClose(await output(model), plain, { relative: 1e-5 });
      }
      unkernelize(model);
    });
    assertEquals(await output(model), plain);
  });

  it("needs no more extra memory than the largest site while it is converted", async () => {
    using model = loaded(new Stack(() => new Block(), 6));
    const before = alive();
    gpu().pool.resetPeak();
    await kernelize(model, { kernels: [chain] });
    const site = [...model.layers[0].namedParameters()].reduce((n, [, p]) => n + p.size * 4, 0);
    assert(site > 1000);
    assertLessOrEqual(memory().peakBytes - before.bytes, site);
    assertEquals(alive().bytes, before.bytes);

    gpu().pool.resetPeak();
    unkernelize(model);
    assertLessOrEqual(memory().peakBytes - before.bytes, site);
    assertEquals(alive(), before);
  });

  it("holds after 20 rounds of kernelize and unkernelize what it held before", async () => {
    using model = loaded(new Stack(() => new Block(), 3));
    const plain = await output(model);
    await leavesUnchanged(model, async () => {
      const before = alive();
      for (let round = 0; round < 20; round++) {
        await kernelize(model, { kernels: round % 2 ? [chain] : [replace("RMSNorm", Norm), chain] });
        if (round % 5 === 0) assertClose(await output(model), plain, { relative: 1e-5 });
        unkernelize(model);
      }
      assertEquals(alive(), before);
    });
  });

  it("holds after 200 forward passes what it held after the first", async () => {
    using model = loaded(new Stack(() => new Mixer()));
    await kernelize(model, { kernels: [qkv] });
    await output(model);
    const before = alive();
    using x = keep(Tensor.zeros(INPUT));
    const held = alive();
    for (let i = 0; i < 200; i++) scope(() => model.call(x) as Tensor).dispose();
    assertEquals(alive(), held);
    assertEquals(held.buffers, before.buffers + 1);
    unkernelize(model);
  });
});

describe("siblings that are fused in parallel", () => {
  it("compute the same, call after call, for any batch, and in scopes within scopes", async () => {
    using model = loaded(new Stack(() => new Mixer()));
    const shapes = [INPUT, [1, WIDTH], [5, 1, WIDTH], INPUT];
    const plain: number[][] = [];
    for (const shape of shapes) plain.push(await output(model, shape));
    await leavesUnchanged(model, async () => {
      await kernelize(model, { kernels: [qkv] });
      for (const [i, shape] of shapes.entries()) {
        assertClose(await output(model, shape), plain[i], { relative: 1e-5 });
        const nested = await scopedOutput(model, shape);
        assertClose(nested, plain[i], { relative: 1e-5 });
      }
      unkernelize(model);
    });
  });

  it("release a result that nobody took", async () => {
    class Half extends Module {
      q = new Linear(WIDTH, WIDTH, false);
      k = new Linear(WIDTH, 4, false);
      v = new Linear(WIDTH, 4, false);
      skip = false;
      override forward(x: Tensor): Tensor {
        const q = this.q.call(x);
        if (!this.skip) {
          this.k.call(x);
          this.v.call(x);
        }
        return q;
      }
    }
    using model = loaded(new Stack(() => new Half()));
    await kernelize(model, { kernels: [qkv] });
    const before = alive();
    for (const one of model.layers) (one as Half).skip = true;
    for (let i = 0; i < 3; i++) await output(model);
    // The last run's leftovers wait for the next run, or for unkernelize.
    assertEquals(alive().tensors, before.tensors + 4);
    unkernelize(model);
    assertEquals(alive().tensors, before.tensors + 4); // three weights instead of one, in each of two layers
  });
});

async function scopedOutput(model: Module, shape: number[]): Promise<number[]> {
  class Wrapped extends Module {
    constructor(readonly inner: Module) {
      super();
    }
    override forward(x: Tensor): Tensor {
      return scope(() => scope(() => this.inner.call(x) as Tensor));
    }
  }
  return await output(new Wrapped(model), shape);
}
