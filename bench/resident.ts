/** The memory of this process, as a contender tells it. */
import v8 from "node:v8";
import vm from "node:vm";

/** What {@linkcode residentValues} gives, by place. */
export const RESIDENT = { now: 0, heapAfter: 1, after: 2 } as const;

/**
 * Bytes at places: 0 is the resident memory as it is; 1 and 2 are the heap in use and the resident memory after a
 * full garbage collection, which happens only where one of them is asked for.
 */
export function residentValues(at: readonly number[]): number[] {
  const now = Deno.memoryUsage().rss;
  if (at.some((i) => i !== RESIDENT.now)) collect();
  const { heapUsed, rss } = Deno.memoryUsage();
  return at.map((i) => [now, heapUsed, rss][i]);
}

// ---------------------------------------------------------------------------

function collect(): void {
  v8.setFlagsFromString("--expose-gc");
  const gc = vm.runInNewContext("gc") as () => void;
  gc();
  gc(); // what finalizers let go of
}
