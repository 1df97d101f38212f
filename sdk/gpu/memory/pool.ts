import type { Arena } from "./arena.ts";
import type { GpuBuffer } from "./buffer.ts";
import type { Faults } from "./faults.ts";
import { fresh } from "./ledger.ts";

/** What a pool holds. */
export interface PoolStats {
  /** Buffers that tensors use. */
  readonly buffers: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Buffers waiting to be used again. */
  readonly pooledBuffers: number;
  /** Their bytes. */
  readonly pooledBytes: number;
  /** The largest `bytes` since the device was opened or {@linkcode BufferPool.resetPeak} was called. */
  readonly peakBytes: number;
  /** Buffers ever created. */
  readonly created: number;
}

interface FreeList {
  buffers: GpuBuffer[];
  /** The last submit at which it had a buffer. */
  lastUse: number;
}

const KEEP_SUBMITS = 64;
/** For buffers from this size on it is asked at once whether there was memory; for others, where they are used. */
const PROVEN_BYTES = 256 * 1024;
const USAGE = 0x80 | 0x04 | 0x08; // STORAGE | COPY_SRC | COPY_DST

/**
 * GPU buffers, reused by exact size.
 *
 *   acquire(1024) ──► free list of 1024? ──yes──► the same buffer again
 *                                        └─no──► createBuffer
 *   release(b)    ──► free list of b.size, until trim()
 *
 * Exact sizes mean that a static model makes no new buffer in its second run; size classes would round every
 * tensor up (ONNX Runtime's once cost 1.4 GB at the peak). Where shapes keep changing, free buffers that nobody
 * asked for during the last {@linkcode KEEP_SUBMITS} submits are destroyed: the garbage collector would let them
 * pile up (150 × 16 MiB grew to 2.6 GB; with destroy() it stayed at 136 MB).
 */
export class BufferPool {
  readonly #device: GPUDevice;
  readonly #faults: Faults;
  readonly #onDestroy: (b: GpuBuffer) => void;
  // What changes with every tensor is counted, not kept in sets: their tables would be copied over and over.
  readonly #free = new Map<number, FreeList>();
  readonly #all = new Set<GpuBuffer>();
  #bytes = 0;
  #peak = 0;
  #pooledBytes = 0;
  #pooled = 0;
  #nextId = 1;
  /** While a plan is captured, buffers come from its arena and go back there. */
  arena: Arena | undefined;

  /**
   * Makes one.
   *
   * @param onDestroy Told of every buffer that is about to be destroyed, so that caches forget it.
   */
  constructor(device: GPUDevice, faults: Faults, onDestroy: (b: GpuBuffer) => void) {
    [this.#device, this.#faults, this.#onDestroy] = [device, faults, onDestroy];
  }

  /**
   * A buffer for `bytes`, and for so many bytes behind them, with unspecified content.
   *
   * @param asked What it is for, as errors show it.
   */
  acquire(bytes: number, behind = 0, asked?: () => string): GpuBuffer {
    const size = Math.max(16, Math.ceil((bytes + behind) / 4) * 4);
    const own = this.arena?.take(size);
    const b = own ?? this.#reuse(size) ?? this.#make(size, asked);
    fresh(b);
    b.bytes = bytes;
    b.owner++;
    if (own) return own; // still counted as live
    b.held = true;
    this.arena?.add(b);
    this.#bytes += size;
    this.#peak = Math.max(this.#peak, this.#bytes);
    return b;
  }

  /** Puts a buffer back. */
  release(b: GpuBuffer): void {
    if (b.arena) return b.arena.release(b);
    if (!b.held) return;
    b.held = false;
    this.#bytes -= b.size;
    if (b.proof?.failure) return this.#discard(b);
    const list = this.#free.get(b.size);
    if (list) list.buffers.push(b);
    else this.#free.set(b.size, { buffers: [b], lastUse: b.lastUse });
    this.#pooled++;
    this.#pooledBytes += b.size;
  }

  /** Puts back the buffers of an arena, whose plan is gone; those that tensors still have come when these are released. */
  releaseArena(arena: Arena): void {
    for (const b of arena.buffers) {
      b.arena = undefined;
      if (!arena.isHeld(b)) this.release(b);
    }
  }

  /** Destroys free buffers that were last used before submit `now - KEEP_SUBMITS`, or all of them. */
  trim(now: number, all = false): void {
    const oldest = all ? Infinity : now - KEEP_SUBMITS;
    for (const [size, list] of this.#free) {
      if (list.buffers.some((b) => b.lastUse < oldest)) {
        for (const b of list.buffers) if (b.lastUse < oldest) this.#destroy(b);
        list.buffers = list.buffers.filter((b) => b.lastUse >= oldest);
      }
      if (list.buffers.length > 0) list.lastUse = now;
      else if (list.lastUse < oldest) this.#free.delete(size); // not at once: the size may well come again
    }
  }

  /** Every buffer that there is. */
  get all(): Iterable<GpuBuffer> {
    return this.#all;
  }

  /** What is held now. */
  stats(): PoolStats {
    return {
      buffers: this.#all.size - this.#pooled,
      bytes: this.#bytes,
      pooledBuffers: this.#pooled,
      pooledBytes: this.#pooledBytes,
      peakBytes: this.#peak,
      created: this.#nextId - 1,
    };
  }

  /** Begins a new measurement of the peak at what is live now. */
  resetPeak(): void {
    this.#peak = this.#bytes;
  }

  /** Destroys everything, live buffers too. */
  destroy(): void {
    this.trim(0, true);
    for (const b of this.#all) b.buffer.destroy();
    this.#all.clear();
    this.#bytes = 0;
  }

  #make(size: number, asked = () => `${size} bytes`): GpuBuffer {
    const create = () =>
      this.#faults.orMemory(asked, () => this.#device.createBuffer({ size, usage: USAGE }));
    const { result: buffer, proof } = size < PROVEN_BYTES
      ? { result: create(), proof: undefined }
      : this.#faults.allocation(create, asked);
    const b: GpuBuffer = {
      buffer,
      size,
      bytes: size,
      id: this.#nextId++,
      lastUse: -1,
      owner: 0,
      held: false,
      lastWrite: -1,
      proof,
      proofs: undefined,
    };
    this.#all.add(b);
    proof?.done.then(() => {
      if (!proof.failure) b.proof = undefined;
      else if (!b.held) this.#dropFree(b); // released before the device has answered
    });
    return b;
  }

  /** Takes one that never had memory off the free list. */
  #dropFree(b: GpuBuffer): void {
    const list = this.#free.get(b.size);
    const at = list?.buffers.indexOf(b) ?? -1;
    if (at < 0) return;
    list!.buffers.splice(at, 1);
    this.#destroy(b);
  }

  #reuse(size: number): GpuBuffer | undefined {
    const b = this.#free.get(size)?.buffers.pop();
    if (!b) return undefined;
    this.#pooled--;
    this.#pooledBytes -= size;
    return b;
  }

  #destroy(b: GpuBuffer): void {
    this.#pooled--;
    this.#pooledBytes -= b.size;
    this.#discard(b);
  }

  #discard(b: GpuBuffer): void {
    this.#all.delete(b);
    this.#onDestroy(b);
    b.buffer.destroy();
  }
}
