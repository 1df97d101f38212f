import v8 from "node:v8";
import vm from "node:vm";
import { assert, assertEquals, assertLess, assertLessOrEqual } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { dispatch, type GpuStorage, memory, record, shader } from "../../sdk/gpu/mod.ts";
import { scale } from "../../sdk/ops/mod.ts";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";

const plus = shader({
  name: "plus.wgsl",
  code: `
override N: f32;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(1) fn main() { out[0] = x[0] + N; }`,
});

function added(x: Tensor, n: number): Tensor {
  const out = Tensor.empty([1]);
  dispatch(plus, { x, out }, { workgroups: 1, constants: { N: n } });
  return out;
}

/** Asks for so many pipelines that nobody has asked for. */
let next = 1000;
function ask(count: number): void {
  for (let i = 0; i < count; i++) gpu().pipelines.get({ variant: plus.variant(), constants: { N: next++ } });
}

/** Bytes of the heap that are in use after a full garbage collection. */
function heap(): number {
  v8.setFlagsFromString("--expose-gc");
  vm.runInNewContext("gc")();
  return v8.getHeapStatistics().used_heap_size;
}

describe("the pipelines of a device", () => {
  gpuForFile();

  it("are few, whatever constants come", async () => {
    using x = Tensor.from([1]);
    using before = added(x, 5);
    ask(1200);
    assertLessOrEqual(memory().pipelines, 512);
    using after = added(x, 5); // compiled again
    using fresh = added(x, next);
    for (const [t, expected] of [[before, 6], [after, 6], [fresh, 1 + next]] as const) {
      assertEquals(await t.data(), Float32Array.of(expected));
    }
  });

  it("stay where they are used", () => {
    const request = { variant: plus.variant(), constants: { N: 7 } };
    const used = gpu().pipelines.get(request);
    for (let i = 0; i < 20; i++) {
      ask(60);
      assert(gpu().pipelines.get(request) === used);
    }
  });

  it("are kept by a captured plan that holds them", async () => {
    using x = Tensor.from([1]);
    using plan = record(() => added(x, 3));
    ask(1200);
    for (let i = 0; i < 3; i++) assertEquals(await plan.replay().data(), Float32Array.of(4));
    using eager = added(x, 3);
    assertEquals(await eager.data(), Float32Array.of(4));
  });
});

describe("the bind groups of a device", () => {
  gpuForFile();

  it("are used again, and forgotten with their buffers", async () => {
    using x = Tensor.from([1, 2, 3]);
    const run = () => keep(scope(() => scale(x, 2)));
    run().dispose();
    const { bindGroups } = memory();
    assert(bindGroups > 0);
    for (let i = 0; i < 5; i++) run().dispose();
    assertEquals(memory().bindGroups, bindGroups);
    gpu().trim(); // the result's buffer goes
    assertLess(memory().bindGroups, bindGroups);
    using again = run();
    assertEquals(await again.data(), Float32Array.of(2, 4, 6));
  });

  it("are few, whatever buffers meet", async () => {
    const some = Array.from({ length: 96 }, (_, i) => Tensor.from([i]));
    const variant = plus.variant();
    const compiled = gpu().pipelines.get({ variant, constants: { N: 0 } });
    for (const x of some) {
      for (const y of some) {
        const buffers = [x, y].map((t) => (t.storage as GpuStorage).buffer);
        if (x !== y) gpu().pipelines.bindGroups(compiled, variant, buffers, [4, 4]);
      }
      assertLessOrEqual(memory().bindGroups, 8192);
    }
    using sum = added(some[3], 4);
    assertEquals(await sum.data(), Float32Array.of(7));
    for (const t of some) t.dispose();
  });

  it("leave nothing with a weight that meets new buffers again and again", () => {
    using weight = Tensor.from([1]);
    const meet = (count: number) => {
      for (let i = 0; i < count; i++) {
        scope(() => void added(weight, 1));
        gpu().trim(); // submits, and destroys the other buffer
      }
    };
    meet(500);
    const before = heap();
    meet(5000);
    assertLess(heap() - before, 250_000); // 50 bytes each
  });
});
