/**
 * Which constants are fastest, among those that give the right numbers.
 *
 *   compile ─► run once, compare with the defaults' result ─► rounds of trains, everybody in turn ─► medians
 */
import { throwIfAborted } from "../../abort.ts";
import { leastOf } from "../../extremes.ts";
import type { KernelDefinition } from "../../authoring/mod.ts";
import { combinations, type Constants, type Tune, withTuned } from "../../authoring/tune.ts";
import { KernelwrightError } from "../../errors.ts";
import { canTime, type Gpu, gpuTime } from "../../gpu/mod.ts";
import type { Module } from "../../nn/mod.ts";
import { bestAtOnce } from "../../ops/mod.ts";
import { keep, scope, type Tensor } from "../../tensor/mod.ts";
import { compareValues, defaultTolerance, type Tolerance } from "../verify/compare.ts";
import { tensorsOf } from "../verify/run_site.ts";
import { type DroppedConstants, traceCall, type TuneCase } from "../plan/tuned_calls.ts";

/** What a race found out. */
export interface RaceResult {
  /** The fastest constants; the defaults unless others are clearly faster. */
  readonly constants: Constants;
  /** Milliseconds of a call with them. */
  readonly ms: number;
  /** Milliseconds of a call with the defaults. */
  readonly defaultMs: number;
  /** How many combinations were timed. */
  readonly measured: number;
  /** Those that were not. */
  readonly dropped: readonly DroppedConstants[];
}

/** How combinations are compared and timed. */
export interface RaceOptions {
  /** The part of the largest value that a result may be off by from the defaults'. */
  readonly rtol?: number;
  /** What it may be off by on top of that. */
  readonly atol?: number;
  /** Rounds; each times every combination that is still in. 5 unless told. */
  readonly rounds?: number;
  /** Milliseconds that are timed at once; 20 unless told. */
  readonly train?: number;
  /** Stops between two steps: the model is as before, and KW-ABORTED is thrown. */
  readonly signal?: AbortSignal;
}

/** Races the combinations of a kernel's constants on one call. */
export async function race(
  gpu: Gpu,
  kernel: KernelDefinition,
  self: Module,
  args: readonly unknown[],
  { defaults }: TuneCase,
  options: RaceOptions,
): Promise<RaceResult> {
  const call = callOf(kernel, self, args);
  const expected = await valuesOf(call(defaults));
  const sides: Side[] = [sideOf(defaults, call(defaults))];
  const dropped: DroppedConstants[] = [];
  for (const constants of others(kernel.tune!, defaults)) {
    throwIfAborted(options.signal, "tune");
    const why = await flawOf(gpu, kernel, self, args, constants, expected, options);
    if (why) dropped.push({ constants, why });
    else sides.push(sideOf(constants, call(constants)));
  }
  if (sides.length > 1) await timeAll(gpu, sides, options);
  const [first] = sides;
  const best = sides.reduce((a, b) => median(b.times) < median(a.times) ? b : a);
  // Noise must not choose: what is as fast as the defaults loses to them.
  const winner = median(best.times) < CLEARLY * median(first.times) ? best : first;
  return {
    constants: winner.constants,
    ms: median(winner.times),
    defaultMs: median(first.times),
    measured: sides.length > 1 ? sides.length : 0,
    dropped,
  };
}

/**
 * Whether constants that won another race of this kind give the right numbers in this call too: its sizes may be
 * others.
 */
export async function holdsFor(
  gpu: Gpu,
  kernel: KernelDefinition,
  self: Module,
  args: readonly unknown[],
  { defaults }: TuneCase,
  constants: Constants,
  options: RaceOptions,
): Promise<boolean> {
  if (Object.keys(defaults).every((name) => constants[name] === defaults[name])) return true;
  const expected = await valuesOf(callOf(kernel, self, args)(defaults));
  return await flawOf(gpu, kernel, self, args, constants, expected, options) === undefined;
}

// ---------------------------------------------------------------------------

const CLEARLY = 0.97;
/** After two rounds, who is this much slower than the fastest does not run again. */
const HOPELESS = 2;
const MOST_CALLS = 256;

interface Side {
  readonly constants: Constants;
  readonly call: () => void;
  readonly times: number[];
  calls: number;
}

interface Values {
  readonly data: ArrayLike<number>;
  readonly dtype: Tensor["dtype"];
  readonly shape: string;
}

function callOf(kernel: KernelDefinition, self: Module, args: readonly unknown[]) {
  return (constants: Constants) => () =>
    withTuned(kernel, constants, () => kernel.cls.prototype.forward.apply(self, [...args]));
}

/** Why constants cannot be used: they do not compile, are beyond a limit, or give other numbers than expected. */
async function flawOf(
  gpu: Gpu,
  kernel: KernelDefinition,
  self: Module,
  args: readonly unknown[],
  constants: Constants,
  expected: Values[],
  options: RaceOptions,
): Promise<string | undefined> {
  try {
    const { requests } = traceCall(kernel, self, args, constants);
    await gpu.pipelines.prepare(requests);
    return differs(await valuesOf(callOf(kernel, self, args)(constants)), expected, options);
  } catch (error) {
    gpu.throwIfLost(error);
    return reasonOf(error);
  }
}

function sideOf(constants: Constants, run: () => unknown): Side {
  return { constants, call: () => scope(() => void run()), times: [], calls: 1 };
}

/** Every combination of what forward asks for, but the defaults. */
function others(tune: Tune, defaults: Constants): Constants[] {
  const names = Object.keys(tune).filter((name) => Object.hasOwn(defaults, name));
  return combinations(tune, names).filter((c) => names.some((name) => c[name] !== defaults[name]));
}

async function valuesOf(run: () => unknown): Promise<Values[]> {
  const tensors = scope(() => tensorsOf(run()).map((t) => keep(t)));
  try {
    const values: Values[] = [];
    for (const t of tensors) {
      values.push({ data: (await t.data()).slice(), dtype: t.dtype, shape: t.shape.join() });
    }
    return values;
  } finally {
    for (const t of tensors) t.dispose();
  }
}

function differs(actual: Values[], expected: Values[], options: RaceOptions): string | undefined {
  if (actual.length !== expected.length) return `gives ${actual.length} tensors, not ${expected.length}`;
  for (const [i, e] of expected.entries()) {
    const a = actual[i];
    if (a.shape !== e.shape || a.dtype !== e.dtype) {
      return `gives ${a.dtype}[${a.shape}], not ${e.dtype}[${e.shape}]`;
    }
    const usual = defaultTolerance(e.dtype);
    const tolerance: Tolerance = { rtol: options.rtol ?? usual.rtol, atol: options.atol ?? usual.atol };
    const d = compareValues(a.data, e.data, undefined, e.dtype, "real", tolerance);
    if (d.nan > 0) return `gives other numbers: ${d.nan} elements are NaN or infinite in one of the two`;
    if (!d.passed) {
      return `gives other numbers: off by ${d.absolute.toPrecision(3)} at element ${d.at}, ${
        d.allowed.toPrecision(3)
      } allowed`;
    }
  }
  return undefined;
}

function reasonOf(error: unknown): string {
  if (error instanceof KernelwrightError) return `${error.code}: ${error.diagnostic.what.split("\n")[0]}`;
  return String(error);
}

async function timeAll(gpu: Gpu, sides: readonly Side[], options: RaceOptions): Promise<void> {
  const { rounds = 5, train = 20 } = options;
  const clock = await clockOf(gpu, sides[0]);
  for (const side of sides) {
    throwIfAborted(options.signal, "tune");
    const once = Math.max(0.001, await clock(side.call, 1)); // the first run of the side was for its numbers
    side.calls = Math.max(1, Math.min(MOST_CALLS, Math.round(train / once)));
  }
  let running = sides;
  for (let round = 0; round < rounds; round++) {
    // There and back, so that nobody always comes after the same neighbour.
    for (const side of round % 2 ? [...running].reverse() : running) {
      throwIfAborted(options.signal, "tune");
      side.times.push(await clock(side.call, side.calls) / side.calls);
    }
    if (round < 1) continue;
    const fastest = leastOf(running.map((s) => leastOf(s.times)));
    running = running.filter((s) => s === sides[0] || leastOf(s.times) <= HOPELESS * fastest);
  }
}

/** Milliseconds of some calls. */
type Clock = (call: () => void, calls: number) => Promise<number>;

/** Timestamps where the adapter has them; else the wall clock, without what an empty wait costs. */
async function clockOf(gpu: Gpu, side: Side): Promise<Clock> {
  const repeat = (call: () => void, calls: number) => {
    for (let i = 0; i < calls; i++) bestAtOnce(call);
  };
  if (canTime() && (await gpuTime(side.call) ?? 0) > 0) {
    return async (call, calls) => await gpuTime(() => repeat(call, calls)) ?? Infinity;
  }
  const wall: Clock = async (call, calls) => {
    const start = performance.now();
    repeat(call, calls);
    await gpu.idle();
    return performance.now() - start;
  };
  await gpu.idle();
  const idle = median([await wall(side.call, 0), await wall(side.call, 0), await wall(side.call, 0)]);
  return async (call, calls) => Math.max(0, await wall(call, calls) - idle);
}

function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
