import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { add, scale } from "../../sdk/ops/mod.ts";
import type { GpuStorage } from "../../sdk/gpu/mod.ts";
import { scope, Tensor } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";

const bufferOf = (t: Tensor) => (t.storage as GpuStorage).buffer;

describe("the stream", () => {
  gpuForFile();

  it("submits nothing until somebody reads", async () => {
    using x = Tensor.from([1, 2]);
    const { epoch } = gpu().stream;
    using y = scale(x, 2);
    assertEquals(gpu().stream.epoch, epoch);
    assertEquals(await y.data(), Float32Array.of(2, 4));
    assertEquals(gpu().stream.epoch, epoch + 1);
  });

  it("keeps the order through many dispatches and submits", async () => {
    let x = Tensor.from([0, 100]);
    using one = Tensor.from([1]);
    const { epoch } = gpu().stream;
    for (let i = 0; i < 1000; i++) {
      const next = add(x, one);
      x.dispose();
      x = next;
    }
    assertEquals(gpu().stream.epoch, epoch + 3); // every 256 dispatches
    assertEquals(await x.data(), Float32Array.of(1000, 1100));
    x.dispose();
  });

  it("a write from the host comes after the reads recorded before it", async () => {
    using x = Tensor.from([1]);
    using before = scale(x, 10);
    gpu().stream.write(bufferOf(x), new Uint8Array(Float32Array.of(2).buffer));
    using after = scale(x, 10);
    assertEquals(await before.data(), Float32Array.of(10));
    assertEquals(await after.data(), Float32Array.of(20));
  });

  it("a buffer that is used again does not change what was read from it before", async () => {
    using one = Tensor.from([1, 1, 1]);
    const sums: Tensor[] = [];
    for (let i = 0; i < 10; i++) {
      const x = Tensor.from([i, i, i]); // the same buffer each time
      sums.push(add(x, one));
      x.dispose();
    }
    for (const [i, sum] of sums.entries()) {
      assertEquals(await sum.data(), new Float32Array(3).fill(i + 1));
      sum.dispose();
    }
  });

  it("write() takes counts of bytes that are not a multiple of 4", async () => {
    using x = Tensor.from(Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
    assertEquals(await x.data(), Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
    gpu().stream.write(bufferOf(x), Uint8Array.of(9, 8, 7), 4);
    assertEquals(await x.data(), Uint8Array.of(1, 2, 3, 4, 9, 8, 7));
  });

  it("copies between buffers, in order with dispatches", async () => {
    using x = Tensor.from([1, 2, 3, 4]);
    using y = scale(x, 10);
    gpu().stream.copy(bufferOf(y), 4, bufferOf(x), 8, 8);
    using z = scale(x, 1);
    assertEquals(await z.data(), Float32Array.of(1, 2, 20, 30));
  });

  it("reads the same with and without awaiting the map", async () => {
    const { readback } = gpu();
    const { eager } = readback;
    using x = scope(() => scale(Tensor.from([1, 2, 3]), 2));
    try {
      for (const way of [true, false, true]) {
        readback.eager = way;
        assertEquals(await x.data(), Float32Array.of(2, 4, 6));
      }
    } finally {
      readback.eager = eager;
    }
  });

  it("reads several tensors at once", async () => {
    const all = Array.from({ length: 20 }, (_, i) => Tensor.from([i]));
    const read = await Promise.all(all.map((t) => t.data()));
    assertEquals(read, all.map((_, i) => Float32Array.of(i)));
    all.forEach((t) => t.dispose());
  });
});
