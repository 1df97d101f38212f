import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { afterAll, describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { currentGpu, dispatch, gpuIfOpen, openGpu, shader } from "../../sdk/gpu/mod.ts";
import { add } from "../../sdk/ops/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";

const LOST = (why: string) =>
  `KW-GPU-LOST\n  The GPU device was lost: ${why}\n` +
  "  Open a device again with openGpu() and load the model again; if it recurs, use smaller shapes.";

describe("openGpu()", () => {
  afterAll(() => gpuIfOpen()?.destroy());

  it("must come before tensors", () => {
    assertEquals(
      assertThrows(() => Tensor.zeros([2]), KernelwrightError).message,
      'KW-GPU-NONE\n  Cannot use the device "webgpu": it has not been opened\n  Call `await openGpu()` first.',
    );
    assertThrows(() => currentGpu(), KernelwrightError);
  });

  it("gives two callers at once the same device, and a later one too", async () => {
    const [a, b] = await Promise.all([openGpu(), openGpu()]);
    assert(a === b && a === await openGpu() && a === currentGpu());
  });

  it("asks for the limits that the adapter has", async () => {
    const adapter = (await navigator.gpu.requestAdapter())!;
    const { limits } = await openGpu();
    assertEquals(limits.maxBufferSize, adapter.limits.maxBufferSize);
    assertEquals(limits.maxStorageBufferBindingSize, adapter.limits.maxStorageBufferBindingSize);
  });

  it("says which feature is lacking", async () => {
    const { features } = await openGpu();
    assertEquals(
      (await assertRejects(() => openGpu({ requiredFeatures: ["subgroups-of-tomorrow"] }), KernelwrightError))
        .message,
      'KW-GPU-FEATURE\n  The adapter lacks "subgroups-of-tomorrow"\n' +
        `  It has: ${[...features].join(", ")}.`,
    );
  });
});

describe("a device that is gone", () => {
  const noop = shader({
    code: `@group(0) @binding(0) var<storage, read_write> out: array<f32>;
      @compute @workgroup_size(1) fn main() { out[0] = 1; }`,
  });
  afterAll(() => gpuIfOpen()?.destroy());

  it("is named where its tensors are read or dispatched", async () => {
    const gpu = await openGpu();
    const x = Tensor.zeros([2]);
    gpu.destroy();
    assertEquals((await assertRejects(() => x.data(), KernelwrightError)).message, LOST("it was destroyed"));
    assertEquals(
      assertThrows(() => dispatch(noop, { out: x }, { workgroups: 1 }), KernelwrightError).message,
      LOST("it was destroyed"),
    );
    assertEquals(gpuIfOpen(), undefined);
    x.dispose(); // harmless
  });

  it("makes room for another when the driver loses it", async () => {
    await openGpu();
    const gpu = currentGpu();
    using old = Tensor.zeros([2]);
    gpu.device.destroy(); // as a driver does, behind our back
    const { message } = await gpu.device.lost;
    await Promise.resolve();
    assertEquals((await assertRejects(() => old.data(), KernelwrightError)).message, LOST(message));
    assert(await openGpu() !== gpu);
    using x = Tensor.from([1, 2]);
    using y = add(x, x);
    assertEquals(await y.data(), Float32Array.of(2, 4));
    assertEquals(
      assertThrows(() => add(x, old), KernelwrightError).message,
      'KW-TENSOR-DEVICE  operator "add" binary.wgsl\n' +
        "  Cannot dispatch: a tensor f32 [2] and a tensor f32 [2] are on different GPU devices\n" +
        "  One of them was made before the device was opened again: make it again.",
    );
  });
});
