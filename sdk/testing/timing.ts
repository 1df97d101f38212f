/**
 * How GPU work is timed here.
 *
 *   one sync ─► [ call call call … call ] ─► one sync      a train, long enough that the sync's cost is small
 *
 * What an empty wait costs is taken off, and the sides take turns.
 */
import { leastOf } from "../extremes.ts";
import { canTime, type OpenedGpu, race } from "../gpu/mod.ts";
import { withoutStandIns } from "../ops/mod.ts";

/** One thing to time. */
export interface Side {
  /** Its name. */
  readonly name: string;
  /** Records the work once; nothing may be waited for. */
  readonly call: () => void;
}

/** How long one call of a side takes. */
export interface Timing {
  /** The side's name. */
  readonly name: string;
  /** Milliseconds a call: the median of the rounds. */
  readonly median: number;
  /** Milliseconds a call in the fastest round. */
  readonly fastest: number;
  /** Calls in each train. */
  readonly calls: number;
  /** Milliseconds that the GPU works on one call, by timestamp queries, where the adapter has them: the median. */
  readonly gpu?: number;
}

/** How timing is done. */
export interface TimingOptions {
  /** Rounds; each runs a train of every side. Defaults to 7. */
  readonly rounds?: number;
  /** How long a train should take, in milliseconds. Defaults to 100. */
  readonly train?: number;
}

/** Times the sides against each other. */
export async function timeSides(
  gpu: OpenedGpu,
  sides: readonly Side[],
  options: TimingOptions = {},
): Promise<Timing[]> {
  const { rounds = 7, train = 100 } = options;
  const calls = sides.map((side) => () => withoutStandIns(side.call));
  const wall = await race(gpu, calls, { rounds, train, clock: "wall", mostCalls: 4096 });
  // What the host adds cancels out here: the shaders alone.
  const onGpu = canTime() ? await race(gpu, calls, { rounds, train: 0, clock: "gpu" }) : [];
  return sides.map(({ name }, i) => ({
    name,
    median: wall[i].median,
    fastest: leastOf(wall[i].times),
    calls: wall[i].calls,
    ...(Number.isFinite(onGpu[i]?.median) ? { gpu: onGpu[i].median } : {}), // not where there are too many passes
  }));
}
