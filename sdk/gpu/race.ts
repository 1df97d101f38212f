/**
 * How GPU work is timed against other GPU work:
 *
 *   train lengths ─► rounds: [ A A A A ] [ B B ] [ C C C ]  then back  [ C C C ] [ B B ] [ A A A A ] ─► medians
 *
 * A single dispatch cannot be timed from the host: waiting for it costs more than running it (10 ms in some runtimes).
 * So calls are timed in trains, and the sides take turns, so that a machine that warms up or slows down does so for
 * all of them.
 */
import { leastOf } from "../extremes.ts";
import type { OpenedGpu } from "./device.ts";
import { canTime, gpuTime } from "./timer.ts";

/** How sides are timed. */
export interface RaceOptions {
  /** Rounds; each times every side that is still in. Defaults to 5. */
  readonly rounds?: number;
  /** Milliseconds that are timed at once. Defaults to 20. */
  readonly train?: number;
}

/** Settings that only the SDK's own races need. */
export interface RaceSettings extends RaceOptions {
  /**
   * What is read: the GPU's timestamps (a call that cannot be timed so takes infinitely long), the wall clock, or by
   * default timestamps where they work and else the wall clock.
   */
  readonly clock?: "gpu" | "wall";
  /** After the second round, a side this many times as slow as the fastest is not run again. Defaults to never. */
  readonly hopeless?: number;
  /** The side that always runs on, e.g. the default. */
  readonly keep?: number;
  /** The most calls in a train. Defaults to 256. */
  readonly mostCalls?: number;
  /** Called before each train; what it throws ends the race. */
  readonly check?: () => void;
}

/** What a race found out about one side. */
export interface RaceTimes {
  /** Milliseconds a call, round by round. */
  readonly times: readonly number[];
  /** Their median. */
  readonly median: number;
  /** Calls in each train. */
  readonly calls: number;
}

/** How much faster something must be than what would run anyway: noise must not choose. */
const MIN_SPEEDUP = 1 / 0.97;

/** Whether `ms` is so much less than `than` that it is not noise. */
export function clearlyFaster(ms: number, than: number): boolean {
  return ms * MIN_SPEEDUP < than;
}

/**
 * Times what each side records, the sides in turn. Each has been run once before, or its first run is part of what is
 * measured.
 *
 * @param sides Each records one call's work; nothing may be waited for inside.
 * @returns One result a side, in their order.
 */
export async function race(
  gpu: OpenedGpu,
  sides: readonly (() => void)[],
  settings: RaceSettings = {},
): Promise<RaceTimes[]> {
  const { rounds = 5, train = 20, hopeless = Infinity, keep } = settings;
  const read = await clockOf(gpu, sides[0], settings.clock);
  const clock: Clock = (call, calls) => {
    settings.check?.();
    return read(call, calls);
  };
  const runners: Runner[] = [];
  for (const call of sides) {
    runners.push({ call, calls: await trainLength(clock, call, train, settings.mostCalls), times: [] });
  }
  let running = runners;
  for (let round = 0; round < rounds; round++) {
    // There and back, so that no side always comes after the same neighbour.
    for (const side of round % 2 ? [...running].reverse() : running) {
      side.times.push(await clock(side.call, side.calls) / side.calls);
    }
    if (round < 1 || hopeless === Infinity) continue;
    const fastest = leastOf(running.map((s) => leastOf(s.times)));
    running = running.filter((s) => s === runners[keep ?? -1] || leastOf(s.times) <= hopeless * fastest);
  }
  return runners.map(({ times, calls }) => ({ times, median: median(times), calls }));
}

/** The middle value, or the mean of the two in the middle; 0 for none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// ---------------------------------------------------------------------------

const MOST_CALLS = 256;

interface Runner {
  readonly call: () => void;
  readonly calls: number;
  readonly times: number[];
}

/** Milliseconds of some calls. */
type Clock = (call: () => void, calls: number) => Promise<number>;

/** Timestamps where the adapter has them; else the wall clock, without what an empty wait costs. */
async function clockOf(gpu: OpenedGpu, call: () => void, wanted?: "gpu" | "wall"): Promise<Clock> {
  const repeat = (call: () => void, calls: number) => {
    for (let i = 0; i < calls; i++) call();
  };
  if (wanted === "gpu" || !wanted && canTime() && (await gpuTime(call) ?? 0) > 0) {
    return async (call, calls) => await gpuTime(() => repeat(call, calls)) ?? Infinity;
  }
  const wall: Clock = async (call, calls) => {
    const start = performance.now();
    repeat(call, calls);
    await gpu.idle();
    return performance.now() - start;
  };
  await gpu.idle();
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) waits.push(await wall(call, 0));
  const idle = median(waits);
  return async (call, calls) => Math.max(0, await wall(call, calls) - idle);
}

/** Warms a side up, and finds how many of its calls fill a train. */
async function trainLength(
  clock: Clock,
  call: () => void,
  wanted: number,
  most = MOST_CALLS,
): Promise<number> {
  await clock(call, 1); // compiles
  for (let calls = 1;;) {
    const ms = Math.max(0.001, await clock(call, calls));
    if (ms >= wanted / 2 || calls >= most) {
      return Math.max(1, Math.min(most, Math.round(calls * wanted / ms)));
    }
    calls = Math.min(most, calls * Math.max(2, Math.min(16, Math.floor(wanted / ms))));
  }
}
