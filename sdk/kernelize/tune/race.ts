/**
 * Which constants are fastest, among those that give the right numbers.
 *
 *   compile ─► run once, compare with the defaults' result ─► rounds of trains, everybody in turn ─► medians
 */
import { throwIfAborted } from "../../abort.ts";
import {
  combinations,
  type Constants,
  type KernelDefinition,
  type Tune,
  withTuned,
} from "../../authoring/mod.ts";
import { KernelwrightError } from "../../errors.ts";
import { clearlyFaster, type OpenedGpu, race as raceCalls, type RaceOptions } from "../../gpu/mod.ts";
import type { Module } from "../../nn/mod.ts";
import { withoutStandIns } from "../../ops/mod.ts";
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
export interface TuneRaceOptions extends RaceOptions {
  /** The part of the largest value that a result may be off by from the defaults'. */
  readonly rtol?: number;
  /** What it may be off by on top of that. */
  readonly atol?: number;
  /** Stops between two steps: the model is as before, and KW-ABORTED is thrown. */
  readonly signal?: AbortSignal;
}

/** Races the combinations of a kernel's constants on one call. */
export async function race(
  gpu: OpenedGpu,
  kernel: KernelDefinition,
  self: Module,
  args: readonly unknown[],
  { defaults }: TuneCase,
  options: TuneRaceOptions,
): Promise<RaceResult> {
  const call = callOf(kernel, self, args);
  const expected = await valuesOf(call(defaults));
  const sides: Constants[] = [defaults];
  const dropped: DroppedConstants[] = [];
  for (const constants of others(kernel.tune!, defaults)) {
    throwIfAborted(options.signal, "tune");
    const why = await flawOf(gpu, kernel, self, args, constants, expected, options);
    if (why) dropped.push({ constants, why });
    else sides.push(constants);
  }
  if (sides.length === 1) return { constants: defaults, ms: 0, defaultMs: 0, measured: 0, dropped };
  const runs = sides.map((constants) => () => withoutStandIns(() => scope(() => void call(constants)())));
  const times = await raceCalls(gpu, runs, {
    ...options,
    hopeless: HOPELESS,
    keep: 0,
    check: () => throwIfAborted(options.signal, "tune"),
  });
  const best = times.reduce((b, t, i) => t.median < times[b].median ? i : b, 0);
  // What is as fast as the defaults loses to them.
  const winner = clearlyFaster(times[best].median, times[0].median) ? best : 0;
  return {
    constants: sides[winner],
    ms: times[winner].median,
    defaultMs: times[0].median,
    measured: sides.length,
    dropped,
  };
}

/**
 * Whether constants that won another race of this kind give the right numbers in this call too: its sizes may be
 * others.
 */
export async function holdsFor(
  gpu: OpenedGpu,
  kernel: KernelDefinition,
  self: Module,
  args: readonly unknown[],
  { defaults }: TuneCase,
  constants: Constants,
  options: TuneRaceOptions,
): Promise<boolean> {
  if (Object.keys(defaults).every((name) => constants[name] === defaults[name])) return true;
  const expected = await valuesOf(callOf(kernel, self, args)(defaults));
  return await flawOf(gpu, kernel, self, args, constants, expected, options) === undefined;
}

// ---------------------------------------------------------------------------

/** After two rounds, constants this many times as slow as the fastest are not run again. */
const HOPELESS = 2;

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
  gpu: OpenedGpu,
  kernel: KernelDefinition,
  self: Module,
  args: readonly unknown[],
  constants: Constants,
  expected: Values[],
  options: TuneRaceOptions,
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

function differs(actual: Values[], expected: Values[], options: TuneRaceOptions): string | undefined {
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
