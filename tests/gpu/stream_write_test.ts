import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as fc from "fast-check";
import { KernelwrightError } from "../../sdk/errors.ts";
import { type GpuStorage, guardMemory, record } from "../../sdk/gpu/mod.ts";
import { type DType, DTYPES, Tensor } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";

const dtypes = () =>
  (["f32", "f16", "i32", "u32", "u8", "bool"] as DType[])
    .filter((t) => t !== "f16" || gpu().features.has("shader-f16"));

/** A tensor's bytes, and a run of them to write over. */
const writes = () =>
  fc.record({
    dtype: fc.constantFrom(...dtypes()),
    bytes: fc.uint8Array({ minLength: 40, maxLength: 40 }),
    size: fc.integer({ min: 1, max: 10 }),
    from: fc.nat(10),
    count: fc.nat(10),
  }).map(({ dtype, bytes, size, from, count }) => {
    const each = DTYPES[dtype].bytes;
    const begin = Math.min(from, size) * each;
    const end = Math.min(from + count, size) * each;
    return { dtype, before: bytes.slice(0, size * each), begin, end };
  });

async function bytesOf(t: Tensor): Promise<Uint8Array> {
  const data = await t.data();
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

function write(t: Tensor, bytes: Uint8Array<ArrayBuffer>, at: number): void {
  gpu().stream.write((t.storage as GpuStorage).buffer, bytes, at);
}

describe("Stream.write()", () => {
  gpuForFile();

  it("changes the bytes that it is given and no others, or refuses", async () => {
    let written = 0;
    await fc.assert(
      fc.asyncProperty(writes(), async ({ dtype, before, begin, end }) => {
        using t = Tensor.from(DTYPES[dtype].array(before.slice().buffer), { dtype });
        const expected = before.slice();
        try {
          write(t, before.slice(begin, end).map((b) => ~b), begin);
          for (let i = begin; i < end; i++) expected[i] = ~expected[i];
          written++;
        } catch (error) {
          assertEquals((error as KernelwrightError).code, "KW-GPU-VALIDATION");
          assertEquals(begin % 4 === 0 && (end % 4 === 0 || end === before.length), false);
        }
        assertEquals(await bytesOf(t), expected);
      }),
      { numRuns: 150 },
    );
    assertEquals(written > 0, true);
  });

  it("says what would be lost", () => {
    using t = Tensor.zeros([7], { dtype: "u8" });
    assertEquals(
      assertThrows(() => write(t, new Uint8Array(3), 0), KernelwrightError).message,
      "KW-GPU-VALIDATION\n  Cannot write 3 bytes at byte 0 of 7: WebGPU writes whole words of 4 bytes\n" +
        "  Begin at a multiple of 4, and end at one or where the tensor ends.",
    );
    assertThrows(() => write(t, new Uint8Array(4), 2), KernelwrightError);
  });

  it("knows a tensor's end where the buffer was a longer one's before", async () => {
    Tensor.from(new Uint8Array(16).fill(9)).dispose();
    using t = Tensor.from(Uint8Array.of(1, 2, 3, 4, 5)); // the same buffer, which has 16 bytes
    write(t, Uint8Array.of(8), 4);
    assertEquals(await bytesOf(t), Uint8Array.of(1, 2, 3, 4, 8));
    Tensor.from(Uint8Array.of(1, 2, 3, 4, 5)).dispose();
    using longer = Tensor.from(new Uint8Array(16).fill(7));
    assertThrows(() => write(longer, Uint8Array.of(8), 4), KernelwrightError);
    assertEquals(await bytesOf(longer), new Uint8Array(16).fill(7));
  });

  it("leaves neighbours alone in each replay too", async () => {
    using t = Tensor.from(Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
    using plan = record(() => write(t, Uint8Array.of(9, 8, 7), 4));
    write(t, Uint8Array.of(1, 1, 1, 1, 1, 1, 1), 0);
    plan.replay();
    assertEquals(await bytesOf(t), Uint8Array.of(1, 1, 1, 1, 9, 8, 7));
    assertThrows(() => record(() => write(t, Uint8Array.of(9), 0)), KernelwrightError);
    assertEquals(await bytesOf(t), Uint8Array.of(1, 1, 1, 1, 9, 8, 7));
  });

  it("is no overrun to a memory guard", async () => {
    using guard = guardMemory();
    using t = Tensor.from(Uint8Array.of(1, 2, 3, 4, 5));
    write(t, Uint8Array.of(9), 4);
    assertEquals(await guard.check(), []);
    assertEquals(await bytesOf(t), Uint8Array.of(1, 2, 3, 4, 9));
  });
});
