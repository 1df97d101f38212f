import { checkArgument, checkInstance } from "../arguments.ts";
import { inContext, raise } from "../errors.ts";
import { gpuIfOpen } from "../gpu/mod.ts";
import { Module } from "../nn/mod.ts";
import { type AppliedSite, applySite } from "./apply.ts";
import type { KernelConfig } from "./config.ts";
import { compareResults, resultOf } from "./end_to_end.ts";
import type { RefResolver } from "./local_ref.ts";
import { withMappingOfNow } from "./mapping.ts";
import type { Mode } from "./mode.ts";
import type { KernelPlan } from "./plan.ts";
import { loadKernels, prepare } from "./prepare.ts";
import { KernelReport, reportOf, tunedOf } from "./report.ts";
import { indexTree, type TreeIndex } from "./tree.ts";
import { samplesOf, type TuneOptions, tuneSites } from "./tune.ts";
import { soundPlan } from "./sound.ts";
import type { VerifyOptions } from "./verify.ts";

/** What {@linkcode kernelize} may be told. */
export interface KernelizeOptions {
  /** What the model is run for; `inference` unless told. */
  readonly mode?: Mode;
  /**
   * Arguments of the model's forward to trace it with, one list for each way in which it is run; only shapes matter.
   * Unless told, what the model's own `exampleInputs()` returns.
   */
  readonly inputs?: readonly (readonly unknown[])[];
  /** Runs every kernel beside its original before anything is swapped. The model must be loaded. */
  readonly verify?: VerifyOptions;
  /**
   * Measures which constants are best for kernels that have a `tune`, on its inputs and once the kernels are in. The
   * model must be loaded. Without inputs only what is known from before is looked up, as without this option.
   */
  readonly tune?: TuneOptions;
  /** The folder or file that relative references start from. */
  readonly base?: URL;
  /** Loads the classes of references; local folders and files unless told. */
  readonly resolver?: RefResolver;
}

/** A model that knows what its forward takes. */
export interface ExampleInputs {
  /** One list of arguments for each way in which forward is run; tensors on meta. */
  exampleInputs(): readonly (readonly unknown[])[];
}

/**
 * Puts kernels into a model: matches the config, checks everything on meta, compiles the shaders, and swaps. A model
 * on meta is swapped before its weights are loaded; a loaded one is converted on its device, one site at a time.
 *
 * All or nothing: on any error the model is as it was. A model that has kernels already is first put back, and gets
 * them back if the new config fails.
 *
 * @param config Unless given, the mapping in scope: see `useKernelMapping`.
 * @returns What was swapped, where, and why not elsewhere.
 * @throws KW-CONFIG-…, KW-MAPPING-NONE, KW-REF-…, KW-MATCH-…, KW-SELECT-NONE, KW-KERNEL-…, KW-SIGNATURE-…,
 * KW-LAYOUT-…, KW-CONVERT-…, KW-TRACE-…, KW-SHADER-…, KW-VERIFY, KW-TUNE-….
 */
export function kernelize(
  model: Module,
  config?: KernelConfig,
  options: KernelizeOptions = {},
): Promise<KernelReport> {
  checkInstance("kernelize(): model", model, Module);
  checkArgument("kernelize(): options", options, "an object");
  return inTurn(model, () => swap(model, config, options));
}

/**
 * Plans a config without changing anything, as {@linkcode kernelize} would: also on a model that has kernels, whose
 * originals it is planned for. Nothing is verified or tuned.
 *
 * @throws what {@linkcode kernelize} throws before it swaps.
 */
export function planKernelize(
  model: Module,
  config?: KernelConfig,
  options: KernelizeOptions = {},
): Promise<{ plan: KernelPlan; report: KernelReport }> {
  checkInstance("planKernelize(): model", model, Module);
  checkArgument("planKernelize(): options", options, "an object");
  return inTurn(model, async () => {
    const kernels = await loadKernels(config, originalTree(model), options);
    // Looked up when it is used: unkernelize() waits for nobody.
    const plan = await prepare(
      model,
      kernels,
      options,
      (fn) => withOriginals(states.get(model)?.applied, fn),
    );
    return { plan, report: reportOf(plan) };
  });
}

/**
 * Measures which constants are best for the kernels of a model, see {@linkcode KernelizeOptions.tune}. Later runs use
 * them at once; a plan that was captured before keeps the constants that it was captured with.
 *
 * ```ts ignore
 * await kernelize(model, config);
 * const report = await tune(model, { samples: [[prompt], [oneToken]] });
 * ```
 *
 * @returns The model's report, with the constants and what they bring.
 * @throws KW-TUNE-INPUTS without kernels, weights or inputs; what a kernel throws with its own defaults.
 */
export function tune(model: Module, options: TuneOptions): Promise<KernelReport> {
  checkInstance("tune(): model", model, Module);
  checkArgument("tune(): options", options, "an object");
  return inTurn(model, async () => {
    const state = states.get(model);
    if (!state || samplesOf(options).length === 0) {
      raise(
        "KW-TUNE-INPUTS",
        state ? "Cannot tune: there are no inputs to run" : "Cannot tune: the model has no kernels",
        state ? "Pass { inputs: […] }, as the model's forward takes them." : "Call kernelize first.",
      );
    }
    const notes = await tuneSites(model, state.plan, options);
    const sites = new Map(state.plan.sites.map((s) => [s.path, s]));
    const { report } = state;
    const tuned = new KernelReport(
      report.sites.map((s) => ({ ...s, ...s.kernel ? tunedOf(sites.get(s.path)!) : {} })),
      [...new Set([...report.notes, ...notes])],
      report.endToEnd,
    );
    // Who took the kernels out meanwhile must not find them in the books again.
    return states.get(model) === state ? remember(model, { ...state, report: tuned }) : tuned;
  });
}

/**
 * Puts the original modules back, with their values. Does nothing for a model without kernels, nor to a
 * {@linkcode kernelize} that is still running: await that first.
 */
export function unkernelize(model: Module): void {
  const state = states.get(model);
  if (!state) return;
  states.delete(model);
  undoAll(state.applied);
}

/** The report of a model's kernels, or undefined when it has none. */
export function kernelReport(model: Module): KernelReport | undefined {
  return states.get(model)?.report;
}

/** The config that a model's kernels came from, and where its references start; undefined when it has none. */
export function kernelConfig(
  model: Module,
): { readonly config: KernelConfig; readonly base: URL | undefined } | undefined {
  return states.get(model);
}

/** The plan that a model's kernels came from, or undefined when it has none. */
export function kernelPlan(model: Module): KernelPlan | undefined {
  return states.get(model)?.plan;
}

// ---------------------------------------------------------------------------

interface State {
  readonly config: KernelConfig;
  readonly base: URL | undefined;
  readonly plan: KernelPlan;
  readonly report: KernelReport;
  readonly applied: readonly AppliedSite[];
}

// By model, not by class: what one model runs is nobody else's business.
const states = new WeakMap<Module, State>();

// Two calls for one model at once would each plan a tree that the other one changes.
const turns = new WeakMap<Module, Promise<unknown>>();

function inTurn<T>(model: Module, fn: () => Promise<T>): Promise<T> {
  const turn = (turns.get(model) ?? Promise.resolve()).then(withMappingOfNow(fn));
  turns.set(model, turn.catch(() => {}));
  return turn;
}

function originalTree(model: Module): TreeIndex {
  return states.get(model)?.plan.tree ?? indexTree(model);
}

/** Runs `fn`, which waits for nothing, on the tree without kernels; the values stay where they are. */
function withOriginals<T>(applied: readonly AppliedSite[] = [], fn: () => T): T {
  const ends: (() => void)[] = [];
  try {
    for (const site of [...applied].reverse()) ends.push(site.setAside());
    return fn();
  } finally {
    for (const end of ends.reverse()) end();
  }
}

async function swap(
  model: Module,
  config: KernelConfig | undefined,
  options: KernelizeOptions,
): Promise<KernelReport> {
  const kernels = await loadKernels(config, originalTree(model), options);
  const before = states.get(model);
  if (before) undoAll(before.applied);
  states.delete(model);
  let applied: AppliedSite[] = [];
  try {
    const planned = await prepare(model, kernels, options);
    const origin = { config: kernels.config, base: options.base };
    if (!options.verify) {
      applied = applyAll(planned);
      const plan = await tunedPlan(model, planned, options.tune);
      return remember(model, { ...origin, plan, report: reportOf(plan), applied });
    }
    const { plan: sound, findings } = await soundPlan(model, planned, options.verify);
    const inputs = options.verify.samples?.[0] ?? options.verify.inputs ?? [];
    const plain = await resultOf(model, inputs);
    applied = applyAll(sound);
    const plan = await tunedPlan(model, sound, options.tune);
    const swapped = plain && await resultOf(model, inputs);
    const endToEnd = plain && swapped && compareResults(plain, swapped.data);
    return remember(model, { ...origin, plan, report: reportOf(plan, findings, endToEnd), applied });
  } catch (error) {
    undoAll(applied);
    if (before) states.set(model, { ...before, applied: applyAll(before.plan) });
    throw error;
  }
}

async function tunedPlan(
  model: Module,
  plan: KernelPlan,
  options: TuneOptions | undefined,
): Promise<KernelPlan> {
  if (!options || samplesOf(options).length === 0 || plan.sites.length === 0) return plan;
  const notes = await tuneSites(model, plan, options);
  return { ...plan, notes: [...new Set([...plan.notes, ...notes])] };
}

function remember(model: Module, state: State): KernelReport {
  states.set(model, state);
  return state.report;
}

function applyAll(plan: KernelPlan): AppliedSite[] {
  const applied: AppliedSite[] = [];
  try {
    for (const site of plan.sites) {
      applied.push(inContext({ site: site.path, kernel: site.kernel.name }, () => applySite(site)));
      // What the original held is free now: given back before the next site asks for more.
      gpuIfOpen()?.trim();
    }
    return applied;
  } catch (error) {
    undoAll(applied);
    throw error;
  }
}

function undoAll(applied: readonly AppliedSite[]): void {
  for (const site of [...applied].reverse()) site.undo();
  gpuIfOpen()?.trim();
}
