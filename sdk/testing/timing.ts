/**
 * How GPU work is timed here.
 *
 *   one sync ─► [ call call call … call ] ─► one sync      a train, long enough that the sync's cost is small
 *
 * A single dispatch cannot be timed from the host: the wait at its end costs more than it does (10 ms in some
 * runtimes). What an empty wait costs is measured and taken off. The sides take turns, so that a machine that warms
 * up or slows down does so for all of them.
 */
import { leastOf } from "../extremes.ts";
import { canTime, type Gpu, gpuTime } from "../gpu/mod.ts";
import { bestAtOnce } from "../ops/mod.ts";

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
  /** Rounds; each runs a train of every side. 7 unless told. */
  readonly rounds?: number;
  /** How long a train should take, in milliseconds; 100 unless told. */
  readonly train?: number;
}

/** Times the sides against each other. */
export async function timeSides(
  gpu: Gpu,
  sides: readonly Side[],
  options: TimingOptions = {},
): Promise<Timing[]> {
  const { rounds = 7, train = 100 } = options;
  const idle = await idleWait(gpu);
  const trains: { side: Side; calls: number; times: number[] }[] = [];
  for (const side of sides) {
    trains.push({ side, calls: await trainLength(gpu, side, train, idle), times: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { side, calls, times } of trains) {
      times.push(Math.max(0, await runTrain(gpu, side, calls) - idle) / calls);
    }
  }
  const onGpu = await gpuTimes(sides, rounds);
  return trains.map(({ side, calls, times }, i) => ({
    name: side.name,
    median: median(times),
    fastest: leastOf(times),
    calls,
    ...(onGpu ? { gpu: onGpu[i] } : {}),
  }));
}

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// ---------------------------------------------------------------------------

/** Warms a side up, and finds how many of its calls fill a train. */
async function trainLength(gpu: Gpu, side: Side, wanted: number, idle: number): Promise<number> {
  await runTrain(gpu, side, 1); // compiles
  let calls = 1;
  for (;;) {
    const ms = Math.max(0.01, await runTrain(gpu, side, calls) - idle);
    if (ms >= wanted / 2 || calls >= 4096) {
      return Math.max(1, Math.min(4096, Math.round(calls * wanted / ms)));
    }
    calls = Math.min(4096, calls * Math.max(2, Math.min(16, Math.floor(wanted / ms))));
  }
}

async function runTrain(gpu: Gpu, side: Side, calls: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < calls; i++) bestAtOnce(side.call);
  await gpu.idle();
  return performance.now() - start;
}

/** What the host adds falls out here: the shaders alone, the sides in turn. */
async function gpuTimes(sides: readonly Side[], rounds: number): Promise<number[] | undefined> {
  if (!canTime()) return undefined;
  const times: number[][] = sides.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, side] of sides.entries()) {
      const ms = await gpuTime(side.call);
      if (ms === undefined) return undefined; // too many passes to count
      times[i].push(ms);
    }
  }
  return times.map(median);
}

async function idleWait(gpu: Gpu): Promise<number> {
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) waits.push(await runTrain(gpu, { name: "", call: () => {} }, 0));
  return median(waits);
}
