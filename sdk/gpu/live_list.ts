import type { GpuStorage } from "./gpu_storage.ts";

/**
 * The storages that are alive, oldest first.
 *
 * Chained through themselves: a run makes and releases hundreds of tensors, and a `Set` that they all pass through
 * copies its table every few dozen, into memory that only a full garbage collection gives back (6 kB a forward).
 */
export class LiveList implements Iterable<GpuStorage> {
  #first: GpuStorage | undefined;
  #last: GpuStorage | undefined;
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** Adds one that is in no list. */
  add(s: GpuStorage): void {
    s.older = this.#last;
    if (this.#last) this.#last.newer = s;
    else this.#first = s;
    this.#last = s;
    this.#size++;
  }

  /** Takes one out; returns whether it was there. */
  delete(s: GpuStorage): boolean {
    const { older, newer } = s;
    if (!older && s !== this.#first) return false;
    if (older) older.newer = newer;
    else this.#first = newer;
    if (newer) newer.older = older;
    else this.#last = older;
    s.older = s.newer = undefined;
    this.#size--;
    return true;
  }

  /** Takes all out. */
  clear(): void {
    for (const s of [...this]) this.delete(s);
  }

  /** Each, oldest first. */
  *[Symbol.iterator](): Generator<GpuStorage> {
    for (let s = this.#first; s; s = s.newer) yield s;
  }
}
