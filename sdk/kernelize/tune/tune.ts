/**
 * Tunes the kernels of a model that has them, on the activations of real forwards.
 *
 * Nothing is tuned while a model runs: only where somebody waits for it. What was found holds for the kind of call
 * that it was found on, of any site with the same kernel and shapes.
 */
import { throwIfAborted } from "../../abort.ts";
import { inContext, KernelwrightError, raise } from "../../errors.ts";
import { type Winner, Winners, type WinnersLocation } from "../../host/mod.ts";
import { currentGpu, type OpenedGpu } from "../../gpu/mod.ts";
import { type Module, withObserver } from "../../nn/mod.ts";
import { isTree, scope } from "../../tensor/mod.ts";
import { bytesOf, dropAll, holdAll } from "../verify/kept_arguments.ts";
import { type KernelPlan, type PlannedSite, withRivals } from "../plan/plan.ts";
import { holdsFor, race, type TuneRaceOptions } from "./race.ts";
import { samplesOf } from "../plan/samples.ts";
import { writesInputs } from "../plan/writes.ts";
import { callClass, caseOf, traceCall, type TuneCase, type TunedCall } from "../plan/tuned_calls.ts";

/** How kernels are tuned. */
export interface TuneOptions extends TuneRaceOptions {
  /** What the model's forward takes: real values, on the model's device. Without any, nothing is measured. */
  readonly inputs?: readonly unknown[];
  /** Several such lists, one for each way in which the model is run; in place of `inputs`. */
  readonly samples?: readonly (readonly unknown[])[];
  /** The file that winners are kept in; `false` for memory only. Defaults to the user's cache. */
  readonly cache?: WinnersLocation;
}

/**
 * Gives the sites of a plan the constants that are known from before, for every kind of call that its traces came by.
 *
 * @param look Runs its argument while the model's original modules are in place; nothing waits inside.
 * @returns What the report should say.
 */
export async function recallTuned(
  plan: KernelPlan,
  gpu: OpenedGpu,
  options: TuneOptions = {},
  look: <T>(fn: () => T) => T = (fn) => fn(),
): Promise<string[]> {
  const sites = withRivals(plan.sites).filter((s) => s.tuning && s.tuning.traced.size > 0);
  if (sites.length === 0) return [];
  const cache = await Winners.open(options.cache);
  const notes: string[] = [];
  for (const site of sites) {
    for (const args of site.tuning!.traced.values()) {
      throwIfAborted(options.signal, "kernelize");
      try {
        const found = await look(() => caseOf(site.kernel, selfOf(site), args, gpu.info));
        const winner = winnerFor(site, found, cache);
        if (!winner) continue;
        const { requests } = look(() => traceCall(site.kernel, selfOf(site), args, winner.constants));
        await gpu.pipelines.prepare(requests, whereOf(site));
        choose(site, found, winner);
      } catch (error) {
        // The defaults are proven; what is only remembered must not stop anybody.
        gpu.throwIfLost(error);
        const why = error instanceof KernelwrightError ? error.code : String(error);
        notes.push(`"${site.path}" runs with the defaults: its tuned constants cannot be used (${why})`);
      }
    }
  }
  return [...notes, ...cache.notes];
}

/**
 * Measures what is not known yet, on the swapped model.
 *
 * @returns What the report should say.
 * @throws KW-TUNE-INPUTS when the model is not loaded; what a kernel throws with its own defaults.
 */
export async function tuneSites(root: Module, plan: KernelPlan, options: TuneOptions): Promise<string[]> {
  const gpu = currentGpu();
  const sites = plan.sites.filter((s) => s.tuning);
  if (sites.length === 0) return ["nothing was tuned: no kernel that was put in has a tune"];
  for (const site of sites) checkLoaded(site);
  const cache = await Winners.open(options.cache);
  const notes = new Set<string>();
  const found: { site: PlannedSite; kind: TuneCase; tuned: TunedCall }[] = [];
  const done = new Set<string>();
  for (const inputs of samplesOf(options) ?? []) {
    for (;;) {
      throwIfAborted(options.signal, "tune");
      const seen = observe(root, sites, inputs, done);
      if (seen.length === 0) break;
      try {
        for (const { site, args } of seen) {
          throwIfAborted(options.signal, "tune");
          if (writesInputs(site)) {
            notes.add(`${site.kernel.name} was not tuned: it writes what it is given`);
            continue;
          }
          if (!args.every((a) => isTree(a))) {
            notes.add(`${site.kernel.name} was not tuned: it takes more than tensors and plain values`);
            continue;
          }
          found.push(await tuneCall(gpu, site, args, cache, options));
        }
      } finally {
        for (const { args } of seen) args.forEach(dropAll);
      }
    }
  }
  throwIfAborted(options.signal, "tune");
  await cache.save();
  for (const { site, kind, tuned } of found) site.tuning!.chosen.set(kind.call, tuned);
  return [...notes, ...cache.notes];
}

// ---------------------------------------------------------------------------

/** Kept arguments, in bytes, before the forward is run again for the remaining calls. */
const KEPT_BYTES = 64 * 1024 * 1024;

interface Seen {
  readonly site: PlannedSite;
  readonly args: readonly unknown[];
}

/** One forward; holds the arguments of each site's first call of a kind that is not in `done`, up to the budget. */
function observe(
  root: Module,
  sites: readonly PlannedSite[],
  inputs: readonly unknown[],
  done: Set<string>,
): Seen[] {
  const bySelf = new Map(sites.map((s) => [selfOf(s), s]));
  const seen: Seen[] = [];
  let bytes = 0;
  const observer = {
    call(module: Module, args: readonly unknown[], next: () => unknown): unknown {
      const site = bySelf.get(module);
      if (!site || bytes > KEPT_BYTES) return next();
      const kind = `${site.path}\n${callClass(args)}`;
      if (!done.has(kind)) {
        done.add(kind);
        const held = args.map(holdAll);
        bytes += bytesOf(held);
        seen.push({ site, args: held });
      }
      return next();
    },
  };
  try {
    scope(() => void withObserver(observer, () => root.call(...inputs)));
  } catch (error) {
    for (const { args } of seen) args.forEach(dropAll);
    throw error;
  }
  return seen;
}

async function tuneCall(
  gpu: OpenedGpu,
  site: PlannedSite,
  args: readonly unknown[],
  cache: Winners,
  options: TuneOptions,
): Promise<{ site: PlannedSite; kind: TuneCase; tuned: TunedCall }> {
  const { kernel } = site;
  const self = selfOf(site);
  try {
    const kind = await caseOf(kernel, self, args, gpu.info);
    const known = winnerFor(site, kind, cache);
    if (known && await holdsFor(gpu, kernel, self, args, kind, known.constants, options)) {
      return { site, kind, tuned: remembered(kind, known) };
    }
    const { constants, ms, defaultMs, ...rest } = await race(gpu, kernel, self, args, kind, options);
    if (rest.measured > 0) cache.set(kind.key, { constants, ms, defaultMs });
    return { site, kind, tuned: { call: kind.call, constants, from: "measured", ms, defaultMs, ...rest } };
  } catch (error) {
    // Waited for, so that the context around it is not known any more.
    if (error instanceof KernelwrightError && error.diagnostic.where?.site === undefined) {
      throw inContext(whereOf(site), () => new KernelwrightError(error.diagnostic, error.cause));
    }
    throw error;
  }
}

/** A winner whose values the kernel still names: a file may say anything. */
function winnerFor(site: PlannedSite, kind: TuneCase, cache: Winners): Winner | undefined {
  const winner = cache.get(kind.key);
  const { tune } = site.kernel;
  const known = (name: string, value: number | undefined) =>
    value !== undefined && (value === kind.defaults[name] || tune![name]?.includes(value));
  const names = Object.keys(kind.defaults);
  if (!winner || Object.keys(winner.constants).length !== names.length) return undefined;
  return names.every((name) => known(name, winner.constants[name])) ? winner : undefined;
}

function choose(site: PlannedSite, kind: TuneCase, winner: Winner): void {
  site.tuning!.chosen.set(kind.call, remembered(kind, winner));
}

function remembered(kind: TuneCase, { constants, ms, defaultMs }: Winner): TunedCall {
  return { call: kind.call, constants, from: "cache", ms, defaultMs, measured: 0, dropped: [] };
}

function selfOf(site: PlannedSite): Module {
  return site.layout ?? site.nodes[0].module;
}

function whereOf(site: PlannedSite): { site: string; kernel: string } {
  return { site: site.path, kernel: site.kernel.name };
}

function checkLoaded(site: PlannedSite): void {
  for (const [name, p] of selfOf(site).namedParameters()) {
    if (p.materialized) continue;
    raise(
      "KW-TUNE-INPUTS",
      `Cannot tune ${site.kernel.name} at "${site.path}": its parameter "${name}" has no values`,
      "Load the model first.",
      whereOf(site),
    );
  }
}
