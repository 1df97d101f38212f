/** Memory that is not there, and devices that go. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import { KernelwrightError } from "../../sdk/errors.ts";
import { currentGpu, gpuIfOpen, memory, openGpu } from "../../sdk/gpu/mod.ts";
import { add, scale } from "../../sdk/ops/mod.ts";

const BIG = 512 * 512 + 4;

/** Until the end, the device has no memory for buffers of so many bytes. */
function lacking(bytes: number): Disposable {
  const { device } = currentGpu();
  const { createBuffer, popErrorScope } = device;
  let lacks = 0;
  device.createBuffer = function (descriptor) {
    if (descriptor.size !== bytes) return createBuffer.call(device, descriptor);
    lacks++;
    return createBuffer.call(device, { ...descriptor, usage: 0xffff }); // invalid, with an error
  };
  device.popErrorScope = async function () {
    const error = await popErrorScope.call(device);
    return error && lacks > 0 && error.message.includes("usage flags")
      ? new GPUOutOfMemoryError("no more")
      : error;
  };
  return {
    [Symbol.dispose]: () => {
      device.createBuffer = createBuffer;
      device.popErrorScope = popErrorScope;
    },
  };
}

async function messageOf(t: Tensor): Promise<string> {
  return (await assertRejects(() => t.data(), KernelwrightError)).message;
}

describe("a tensor for which there is no memory", () => {
  beforeEach(async () => void await openGpu());
  afterEach(() => gpuIfOpen()?.destroy());

  it("is named where something is read that depends on it; nothing else is lost", async () => {
    const before = memory();
    using x = Tensor.from([1, 2]);
    using y = add(x, x);
    {
      using _ = lacking(4 * BIG);
      using big = Tensor.empty([BIG], { name: "cache" });
      using from = scale(big, 2);
      using z = scale(y, 3);
      const expected =
        `KW-GPU-MEMORY\n  Cannot allocate "cache" f32 [${BIG}] (${
          4 * BIG
        } bytes): the GPU is out of memory (no more)\n` +
        "  Load the weights as f16, use a shorter context, or dispose tensors that are no longer needed.";
      assertEquals(await messageOf(big), expected);
      assertEquals(await y.data(), Float32Array.of(2, 4));
      assertEquals(await z.data(), Float32Array.of(6, 12));
      assert((await messageOf(from)).startsWith("KW-GPU-MEMORY"));
    }
    using again = Tensor.from(new Float32Array(BIG).fill(1)); // not the buffer that never was
    assertEquals((await again.data())[BIG - 1], 1);
    assertEquals(memory().buffers - before.buffers, 3);
  });

  it("is what a device died of, before it is said that it is gone", async () => {
    const gpu = currentGpu();
    using x = Tensor.from([1, 2]);
    using _ = lacking(4 * BIG);
    using big = Tensor.empty([BIG], { name: "cache" });
    void big;
    await Promise.resolve();
    gpu.device.destroy();
    await gpu.device.lost;
    assert((await messageOf(x)).startsWith('KW-GPU-MEMORY\n  Cannot allocate "cache"'));
    assert((await messageOf(x)).startsWith("KW-GPU-LOST"));
  });
});

describe("a device that is lost", () => {
  beforeEach(async () => void await openGpu());

  it("is called lost by everything, until another is opened", async () => {
    const gpu = currentGpu();
    const x = Tensor.from([1, 2]);
    const kept = keep(scope(() => scale(x, 2)));
    gpu.device.destroy();
    const lost = (fn: () => unknown) =>
      assert(
        assertThrows(fn, KernelwrightError).message.startsWith("KW-GPU-LOST\n  The GPU device was lost: "),
      );
    assert((await messageOf(kept)).startsWith("KW-GPU-LOST"));
    lost(() => Tensor.from([1]));
    lost(() => Tensor.empty([1]));
    lost(() => add(x, x));
    lost(() => currentGpu());
    assertEquals(gpuIfOpen(), undefined);
    await openGpu();
    using y = Tensor.from([1]);
    assertEquals(await y.data(), Float32Array.of(1));
    currentGpu().destroy();
  });
});
