/**
 * Who may be written: while a guard holds, a write to memory that was there before it is asked about first.
 *
 *   withWriteGuard(check, () => forward(x))     x, weights, caches: older than the guard, so check(…) is asked
 *                                               Tensor.empty(…) inside: younger, so it is nobody else's business
 *
 * A reshape is the memory that it shows: it shares the storage, or, while a forward is traced, knows its origin.
 */
import { birthsSoFar, type Storage } from "./storage.ts";

/** Told of a write to memory that is older than the guard, before it happens; throws where it may not. */
export type CheckWrite = (memory: Storage, by: string) => void;

/** Runs `fn`; writes inside, also those under inner guards, are told to `check`. */
export function withWriteGuard<T>(check: CheckWrite, fn: () => T): T {
  const outer = guard;
  guard = { since: birthsSoFar(), check, outer };
  try {
    return fn();
  } finally {
    guard = outer;
  }
}

/** Whether any guard holds. */
export function writesAreGuarded(): boolean {
  return guard !== undefined;
}

/** Whether a guard would be asked about a write. */
export function isGuarded(memory: Storage): boolean {
  return guard !== undefined && memory.origin.born < guard.since; // the innermost is the youngest
}

/** Says that memory is about to be written. @throws what a guard throws. */
export function noteWrite(memory: Storage, by: string): void {
  for (let g = guard; g; g = g.outer) if (memory.origin.born < g.since) g.check(memory.origin, by);
}

// ---------------------------------------------------------------------------

interface Guard {
  readonly since: number;
  readonly check: CheckWrite;
  readonly outer: Guard | undefined;
}

let guard: Guard | undefined;
