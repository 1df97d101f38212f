import { assert, assertEquals, assertLess, assertStringIncludes, assertThrows } from "@std/assert";
import v8 from "node:v8";
import vm from "node:vm";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { type GpuStorage, liveTensors, memory, traceAllocations } from "../../sdk/gpu/mod.ts";
import { linear, silu } from "../../sdk/ops/mod.ts";
import { scope, Tensor } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";

describe("memory()", () => {
  gpuForFile();

  it("counts tensors, buffers and bytes", () => {
    const before = memory();
    using a = Tensor.zeros([1000]);
    using b = Tensor.zeros([3], { dtype: "u8" });
    const now = memory();
    assertEquals(now.tensors - before.tensors, 2);
    assertEquals(now.buffers - before.buffers, 2);
    assertEquals(now.bytes - before.bytes, 4000 + 16); // a buffer has at least 16 bytes
    assert(a.size + b.size > 0);
  });

  it("a run makes no new buffer the second time, and holds nothing", async () => {
    using x = Tensor.zeros([3, 64]);
    using w = Tensor.zeros([50, 64]);
    const run = () => scope(() => void silu(linear(x, w)));
    run();
    const { created, tensors, bytes } = memory();
    for (let i = 0; i < 1000; i++) run();
    await gpu().sync();
    assertEquals([memory().created, memory().tensors, memory().bytes], [created, tensors, bytes]);
  });

  it("a buffer is used again for a tensor of the same size only", () => {
    Tensor.zeros([123]).dispose();
    const { created } = memory();
    using same = Tensor.empty([123]);
    assertEquals(memory().created, created);
    using other = Tensor.empty([124]);
    assertEquals(memory().created, created + 1);
    assert(same.size < other.size);
  });

  it("leaves nothing behind that only a full garbage collection would find", () => {
    // Tables of sets and maps that all tensors pass through would be copied into the old part of the heap, over and over.
    const old = () => v8.getHeapSpaceStatistics().find((s) => s.space_name === "old_space")!.space_used_size;
    const weights = Array.from({ length: 50 }, () => Tensor.zeros([1]));
    const runs = (count: number) => {
      for (let i = 0; i < count; i++) {
        const t = Tensor.empty([1 + i % 7]);
        (t.storage as GpuStorage).buffer.lastUse = gpu().stream.epoch; // as a dispatch would
        t.dispose();
      }
    };
    runs(1000);
    v8.setFlagsFromString("--expose-gc");
    vm.runInNewContext("gc")(); // tables grow old
    const before = old();
    runs(100_000);
    assertLess(old() - before, 1e6); // ten bytes a tensor
    for (const w of weights) w.dispose();
  });

  it("trim() destroys the free buffers", () => {
    Tensor.zeros([77]).dispose();
    assert(memory().pooledBuffers > 0);
    gpu().trim();
    assertEquals([memory().pooledBuffers, memory().pooledBytes], [0, 0]);
  });

  it("free buffers that nobody asks for are destroyed after a while", () => {
    Tensor.zeros([78]).dispose();
    for (let i = 0; i < 200; i++) gpu().stream.submit(true);
    assertEquals(memory().pooledBuffers, 0);
  });

  it("knows the peak", () => {
    gpu().pool.resetPeak();
    const { bytes } = memory();
    Tensor.zeros([1000]).dispose();
    assertEquals([memory().bytes, memory().peakBytes], [bytes, bytes + 4000]);
  });

  it("lists live tensors with the line that made them", () => {
    traceAllocations(true);
    try {
      using x = Tensor.zeros([5], { name: "x" });
      const mine = liveTensors().find((t) => t.name === x.name)!;
      assertEquals(mine.bytes, 20);
      assertStringIncludes(mine.madeAt!, "memory_test.ts");
    } finally {
      traceAllocations(false);
    }
  });

  it("lists tensors oldest first, in whatever order others go", () => {
    const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => Tensor.zeros([1], { name }));
    const names = () => liveTensors().flatMap((t) => t.name ?? []).join("");
    assertEquals(names(), "abcd");
    b.dispose();
    assertEquals(names(), "acd");
    const e = Tensor.zeros([1], { name: "e" });
    a.dispose();
    a.dispose();
    assertEquals(names(), "cde");
    e.dispose();
    d.dispose();
    assertEquals([names(), memory().tensors], ["c", 1]);
    c.dispose();
    assertEquals([names(), memory().tensors], ["", 0]);
  });

  it("refuses a tensor that no binding can hold, before allocating", () => {
    const before = memory();
    const limit = gpu().limits.maxStorageBufferBindingSize;
    const size = limit / 4 + 1;
    assertEquals(
      assertThrows(() => Tensor.empty([size], { name: "embed" }), KernelwrightError).message,
      `KW-GPU-LIMIT  tensor "embed"\n  Cannot allocate f32 [${size}] (${
        limit + 4
      } bytes): the adapter binds at most ${limit} bytes\n` +
        "  Split the tensor, or store it as f16.",
    );
    assertEquals(memory(), before);
  });
});
