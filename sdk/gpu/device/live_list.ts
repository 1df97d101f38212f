/** What a list chains. */
export interface Linked<T> {
  /** The one before; the list's own. */
  older: T | undefined;
  /** The one behind. */
  newer: T | undefined;
}

/**
 * The storages that are alive, oldest first.
 *
 * Chained through themselves: a run makes and releases hundreds of tensors, and a `Set` that they all pass through
 * copies its table every few dozen, into memory that only a full garbage collection gives back (6 kB a forward).
 */
export class LiveList<T extends Linked<T>> implements Iterable<T> {
  #first: T | undefined;
  #last: T | undefined;
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** Adds one that is in no list. */
  add(s: T): void {
    s.older = this.#last;
    if (this.#last) this.#last.newer = s;
    else this.#first = s;
    this.#last = s;
    this.#size++;
  }

  /** Takes one out; returns whether it was there. */
  delete(s: T): boolean {
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
  *[Symbol.iterator](): Generator<T> {
    for (let s = this.#first; s; s = s.newer) yield s;
  }
}
