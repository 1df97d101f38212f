/**
 * The one place that maps buffers: a driver's workaround goes here and nowhere else.
 *
 * In Deno 2.9.6 an awaited `mapAsync` blocks until the queue is idle and then sleeps 10 ms, so that each readback
 * costs about 11 ms; one for each token would cap decoding at 85 tokens a second. But the call itself has blocked:
 * the buffer is mapped when it returns, and `getMappedRange` without awaiting gives the bytes in 0.1 ms. Wherever
 * that does not hold `getMappedRange` throws, and the promise is awaited. May go when a mapped buffer's promise
 * resolves at once in Deno.
 */
import { raise } from "../../errors.ts";
import type { Faults } from "../memory/faults.ts";
import { failureOf, type Ledger, type Reading } from "../memory/ledger.ts";
import type { GpuBuffer } from "../memory/buffer.ts";
import type { Stream } from "./stream.ts";

const MAP_READ = 0x01 | 0x08; // MAP_READ | COPY_DST
const IN_DENO: boolean = Object.hasOwn(globalThis, "Deno");
/** Staging buffers up to this size are kept: tokens and reductions, not logits of a whole prompt. */
const KEPT_BYTES = 256 * 1024;
/** How long reads may follow each other before the event loop gets a turn. */
const TURN_MS = 50;

/** Reads buffers of one device back, with staging buffers that are used again. */
export class Readback {
  /** Whether to try without awaiting. Only where the runtime is known to stand it. */
  eager: boolean;
  readonly #device: GPUDevice;
  readonly #faults: Faults;
  readonly #ledger: Ledger;
  readonly #stream: Stream;
  readonly #free = new Map<number, GPUBuffer[]>();
  #turn = performance.now();

  /**
   * Makes one.
   *
   * @param eager Whether to try without awaiting; defaults to true in Deno.
   */
  constructor(device: GPUDevice, faults: Faults, ledger: Ledger, stream: Stream, eager = IN_DENO) {
    [this.#device, this.#faults, this.#ledger, this.#stream] = [device, faults, ledger, stream];
    this.eager = eager;
  }

  /**
   * Copies `bytes` to the host after everything recorded so far has run.
   *
   * @throws what went wrong with the work that made them; KW-GPU-LOST, KW-GPU-MEMORY; an error that came as an event.
   */
  async read(source: GpuBuffer, bytes: number): Promise<ArrayBuffer> {
    this.#faults.throwIfLost();
    const known = failureOf(source.proofs);
    if (known) this.#faults.tell(known);
    const size = stagingSize(bytes);
    let staging: GPUBuffer;
    try {
      staging = this.#free.get(size)?.pop() ?? this.#make(size);
    } catch (error) {
      const { proofs = [] } = source;
      await this.#ledger.settled({ proofs });
      const first = failureOf(proofs); // there was no memory for the tensor itself
      if (first) this.#faults.tell(first);
      await this.#faults.reasons();
      this.#faults.throwIfLost(error);
      throw error;
    }
    let good = false;
    let reading: Reading | undefined;
    try {
      reading = this.#stream.copyOut(source, staging, Math.max(4, Math.ceil(bytes / 4) * 4));
      const result = await this.#values(staging, bytes, reading);
      await this.#letOthersRun();
      good = true;
      return result;
    } finally {
      if (reading) this.#ledger.end(reading);
      if (good && size <= KEPT_BYTES) this.#keep(staging, size);
      else staging.destroy();
    }
  }

  /** The bytes, once it is sure that they are those that were asked for. */
  async #values(staging: GPUBuffer, bytes: number, reading: Reading): Promise<ArrayBuffer> {
    let result: ArrayBuffer | undefined;
    let cause: unknown;
    try {
      result = (await this.#map(staging)).slice(0, bytes);
      staging.unmap();
    } catch (error) {
      cause = error;
    }
    await this.#ledger.settled(reading);
    await this.#faults.arrive();
    const failure = this.#ledger.end(reading);
    if (failure) this.#faults.tell(failure);
    this.#faults.throwStray();
    if (result) return result;
    await this.#faults.reasons();
    this.#faults.throwIfLost(cause);
    raise(
      "KW-GPU-VALIDATION",
      `Cannot read from the GPU: ${cause instanceof Error ? cause.message : String(cause)}`,
      undefined,
      undefined,
      cause,
    );
  }

  /** Destroys the staging buffers. */
  destroy(): void {
    for (const list of this.#free.values()) for (const b of list) b.destroy();
    this.#free.clear();
  }

  async #map(staging: GPUBuffer): Promise<ArrayBuffer> {
    const mapped = staging.mapAsync(GPUMapMode.READ);
    if (this.eager) {
      mapped.catch(() => {}); // told by getMappedRange, or by awaiting below
      try {
        return staging.getMappedRange();
      } catch {
        // not mapped yet
      }
    }
    await mapped;
    return staging.getMappedRange();
  }

  /**
   * A loop of reads that are never waited for would keep timers and input waiting, and pile up their promises. One that
   * is waited for gives everybody a turn anyway, and a hidden page's timers fire once a second.
   */
  async #letOthersRun(): Promise<void> {
    if (!this.eager || performance.now() - this.#turn < TURN_MS) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    this.#turn = performance.now();
  }

  #make(size: number): GPUBuffer {
    const asked = () => `${size} bytes to read from`;
    const create = () =>
      this.#faults.orMemory(asked, () => {
        // Mapped once at creation: on a buffer that never was, Deno's getMappedRange ends the process.
        const b = this.#device.createBuffer({ size, usage: MAP_READ, mappedAtCreation: true });
        b.unmap();
        return b;
      });
    return this.#faults.allocation(create, asked).result;
  }

  #keep(staging: GPUBuffer, size: number): void {
    const list = this.#free.get(size);
    if (list) list.push(staging);
    else this.#free.set(size, [staging]);
  }
}

// ---------------------------------------------------------------------------

/** Small reads share sizes, so that few staging buffers serve all of them. */
function stagingSize(bytes: number): number {
  if (bytes > KEPT_BYTES) return Math.ceil(bytes / 4) * 4;
  return 2 ** Math.max(6, Math.ceil(Math.log2(Math.max(1, bytes))));
}
