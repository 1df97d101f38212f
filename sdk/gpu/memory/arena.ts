import type { GpuBuffer } from "./buffer.ts";

/**
 * The buffers of one captured plan. While the plan is recorded they are reused inside it, as soon as their tensors
 * are released; afterwards they belong to the plan alone, so that a replay finds them as the recording left them.
 */
export class Arena {
  readonly #free = new Map<number, GpuBuffer[]>();
  readonly #all = new Set<GpuBuffer>();
  readonly #held = new Set<GpuBuffer>();
  #sealed = false;

  /** Every buffer of the plan. */
  get buffers(): ReadonlySet<GpuBuffer> {
    return this.#all;
  }

  /** A free buffer of exactly this size, if there is one. */
  take(size: number): GpuBuffer | undefined {
    const b = this.#free.get(size)?.pop();
    if (b) this.#held.add(b);
    return b;
  }

  /** Counts a tensor's new buffer in. */
  add(b: GpuBuffer): void {
    this.own(b);
    this.#held.add(b);
  }

  /** Counts a buffer in that the plan itself needs. */
  own(b: GpuBuffer): void {
    b.arena = this;
    this.#all.add(b);
  }

  /** Whether a tensor that was made in the recording still has a buffer: it may outlive the plan. */
  isHeld(b: GpuBuffer): boolean {
    return this.#held.has(b);
  }

  /** Takes a buffer back, to be used again inside the recording. */
  release(b: GpuBuffer): void {
    this.#held.delete(b);
    if (this.#sealed) return;
    const list = this.#free.get(b.size);
    if (list) list.push(b);
    else this.#free.set(b.size, [b]);
  }

  /** The recording is over: nothing is handed out any more. Returns the buffers that are free, no longer the plan's. */
  seal(): GpuBuffer[] {
    this.#sealed = true;
    const spare = [...this.#free.values()].flat();
    this.#free.clear();
    for (const b of spare) {
      b.arena = undefined;
      this.#all.delete(b);
    }
    return spare;
  }
}
