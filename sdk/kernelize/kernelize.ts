import { throwIfAborted } from "../abort.ts";
import { checkInstance } from "../arguments.ts";
import { inContext, raise } from "../errors.ts";
import { gpuIfOpen, proveTensors } from "../gpu/mod.ts";
import { Module } from "../nn/mod.ts";
import { type AppliedSite, applySite, lostWithout, releaseAfterLast } from "./swap/apply.ts";
import type { KernelConfig } from "./config/config.ts";
import { compareResults, resultOf } from "./verify/end_to_end.ts";
import type { RefResolver } from "./config/local.ts";
import type { Mode } from "./config/mode.ts";
import type { KernelPlan } from "./plan/plan.ts";
import { checkKernelizeOptions, checkTuneOptions } from "./options.ts";
import { loadKernels, prepare } from "./prepare.ts";
import { KernelReport, reportOf, tunedOf } from "./report.ts";
import { indexTree, type TreeIndex } from "./match/tree.ts";
import { afterTurns, takeTurn } from "./turns.ts";
import { samplesOf } from "./plan/samples.ts";
import { type TuneOptions, tuneSites } from "./tune/tune.ts";
import { verifiedPlan } from "./verify/verdict.ts";
import type { VerifyOptions } from "./verify/verify.ts";

/** Options of {@linkcode kernelize}. */
export interface KernelizeOptions {
  /** What the model is run for; defaults to `inference`. */
  readonly mode?: Mode;
  /**
   * What the model's forward takes, to trace it with; only shapes matter. Defaults to what the model's own
   * `exampleInputs()` returns.
   */
  readonly inputs?: readonly unknown[];
  /** Several such lists, one for each way in which the model is run; in place of `inputs`. */
  readonly samples?: readonly (readonly unknown[])[];
  /** Runs every kernel beside its original before anything is swapped. The model must be loaded. */
  readonly verify?: VerifyOptions;
  /**
   * Measures which constants are best for kernels that have a `tune`, on its inputs and once the kernels are in. The
   * model must be loaded. Without inputs only what is known from before is looked up, as without this option.
   */
  readonly tune?: TuneOptions;
  /** The folder or file that relative references start from. */
  readonly base?: URL;
  /** Loads the classes of references; defaults to local folders and files. */
  readonly resolver?: RefResolver;
  /** Stops between two steps, also while it is verified and tuned: the model is as before, and KW-ABORTED is thrown. */
  readonly signal?: AbortSignal;
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
 * KW-LAYOUT-…, KW-CONVERT-…, KW-TRACE-…, KW-SHADER-…, KW-VERIFY, KW-TUNE-…, KW-ABORTED.
 *
 * @example
 * ```ts
 * import { kernel, kernelize, type KernelReport, kernelReport, replaces, Tensor } from "@kernelwright/sdk";
 * import { tune, tuned, unkernelize } from "@kernelwright/sdk";
 * import { replace } from "@kernelwright/sdk/config";
 * import { LlamaForCausalLM } from "@kernelwright/sdk/models";
 * import { RMSNorm } from "@kernelwright/sdk/nn";
 * import { rmsNorm } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * @kernel({ site: replaces(RMSNorm), tune: { SIZE: [32, 64] } })
 * class FastNorm {
 *   forward(this: RMSNorm, x: Tensor): Tensor {
 *     tuned({ SIZE: 64 }); // for the shader that it dispatches: see `kernel`
 *     return rmsNorm(x, this.weight, this.eps);
 *   }
 * }
 * using model = await LlamaForCausalLM.fromPretrained("./model");
 * using ids = Tensor.from([[1, 3, 4]], { dtype: "i32" });
 * const config = { kernels: [replace("RMSNorm", FastNorm)] };
 * const report: KernelReport = await kernelize(model, config, { verify: { inputs: [ids] } });
 * assertEquals([report.at("model.norm")?.kernel, kernelReport(model)], ["FastNorm", report]);
 * await tune(model, { inputs: [ids], cache: false });
 * unkernelize(model);
 * ```
 */
export function kernelize(
  model: Module,
  config?: KernelConfig,
  options: KernelizeOptions = {},
): Promise<KernelReport> {
  checkInstance("kernelize(): model", model, Module);
  checkKernelizeOptions("kernelize(): options", options);
  return takeTurn(model, () => swap(model, config, options), options.signal);
}

/**
 * Plans a config without changing anything, as {@linkcode kernelize} would: also on a model that has kernels, whose
 * originals it is planned for. Nothing is verified or tuned.
 *
 * @throws what {@linkcode kernelize} throws before it swaps.
 *
 * @example
 * ```ts
 * import { kernel, Module, replaces, Tensor } from "@kernelwright/sdk";
 * import { replace } from "@kernelwright/sdk/config";
 * import { explainPlan, planKernelize } from "@kernelwright/sdk/inspect";
 * import { SiLU } from "@kernelwright/sdk/nn";
 * import { silu } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * @kernel({ site: replaces(SiLU) })
 * class FastSiLU {
 *   forward(this: SiLU, x: Tensor): Tensor {
 *     return silu(x);
 *   }
 * }
 * class Model extends Module {
 *   act = new SiLU();
 *   override forward(x: Tensor): Tensor {
 *     return this.act.call(x);
 *   }
 * }
 *
 * const inputs = [Tensor.empty([4], { device: "meta" })];
 * const planned = await planKernelize(new Model(), { kernels: [replace("SiLU", FastSiLU)] }, { inputs });
 * assertEquals(planned.plan.sites.map((s) => s.path), ["act"]);
 * console.log(String(explainPlan(planned, "act")));
 * ```
 */
export function planKernelize(
  model: Module,
  config?: KernelConfig,
  options: KernelizeOptions = {},
): Promise<{ plan: KernelPlan; report: KernelReport }> {
  checkInstance("planKernelize(): model", model, Module);
  checkKernelizeOptions("planKernelize(): options", options);
  return takeTurn(model, async () => {
    const kernels = await loadKernels(config, originalTree(model), options);
    const plan = await prepare(
      model,
      kernels,
      options,
      (fn) => withOriginals(states.get(model)?.applied, fn),
    );
    return { plan, report: reportOf(plan) };
  }, options.signal);
}

/**
 * Measures which constants are best for the kernels of a model, see {@linkcode KernelizeOptions.tune}. Later runs use
 * them at once; a plan that was captured before keeps the constants that it was captured with.
 *
 * See the example of {@linkcode kernelize}.
 *
 * @returns The model's report, with the constants and what they bring.
 * @throws KW-TUNE-INPUTS without kernels, weights or inputs; KW-ABORTED; what a kernel throws with its own defaults.
 */
export function tune(model: Module, options: TuneOptions): Promise<KernelReport> {
  checkInstance("tune(): model", model, Module);
  checkTuneOptions("tune(): options", options);
  return takeTurn(
    model,
    async () => {
      const state = states.get(model);
      if (!state || !samplesOf(options)?.length) {
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
      return remember(model, { ...state, report: tuned });
    },
    options.signal,
    "tune",
  );
}

/**
 * Puts the original modules back, with their values. Does nothing for a model without kernels. While a
 * {@linkcode kernelize}, a {@linkcode tune} or a save of the model is running, it waits its turn: who awaits that one
 * then finds the originals.
 *
 * See the example of {@linkcode kernelize}.
 *
 * @throws KW-CONVERT-NO-REVERSE, and changes nothing, where weights that were converted while loading would be lost.
 */
export function unkernelize(model: Module): void {
  afterTurns(model, () => {
    const state = states.get(model);
    if (!state) return;
    checkNothingLost(state.applied);
    states.delete(model);
    undoAll(state.applied);
  });
}

/**
 * The report of a model's kernels, or undefined when it has none.
 *
 * See the example of {@linkcode kernelize}.
 */
export function kernelReport(model: Module): KernelReport | undefined {
  return states.get(model)?.report;
}

/**
 * The config that a model's kernels came from, and where its references start; undefined when it has none.
 *
 * See the example of {@linkcode explain}.
 */
export function kernelConfig(
  model: Module,
): { readonly config: KernelConfig; readonly base: URL | undefined } | undefined {
  return states.get(model);
}

/**
 * The plan that a model's kernels came from, or undefined when it has none.
 *
 * See the example of {@linkcode explain}.
 */
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
  const stop = () => throwIfAborted(options.signal, "kernelize");
  const kernels = await loadKernels(config, originalTree(model), options);
  stop();
  await proveTensors(model.stateDict().values()); // what they lack is not the kernels' fault
  const before = states.get(model);
  if (before) checkNothingLost(before.applied);
  if (before) undoAll(before.applied);
  states.delete(model);
  let applied: AppliedSite[] = [];
  const apply = async (plan: KernelPlan) => {
    stop();
    applied = await applyAll(plan);
  };
  const tuned = (plan: KernelPlan) => tunedPlan(model, plan, withSignal(options.tune, options.signal));
  try {
    const planned = await prepare(model, kernels, options);
    const origin = { config: kernels.config, base: options.base };
    const verify = withSignal(options.verify, options.signal);
    if (!verify) {
      await apply(planned);
      const plan = await tuned(planned);
      stop();
      return remember(model, { ...origin, plan, report: reportOf(plan), applied });
    }
    const { plan: sound, findings } = await verifiedPlan(model, planned, verify);
    const inputs = samplesOf(verify)?.[0] ?? [];
    stop();
    const plain = await resultOf(model, inputs);
    await apply(sound);
    const plan = await tuned(sound);
    stop();
    const swapped = plain && await resultOf(model, inputs);
    stop();
    const endToEnd = plain && swapped && compareResults(plain, swapped.data);
    return remember(model, { ...origin, plan, report: reportOf(plan, findings, endToEnd), applied });
  } catch (error) {
    undoAll(applied);
    if (before) states.set(model, { ...before, applied: await applyAll(before.plan) });
    throw error;
  }
}

/** Options whose signal is also that of the call around them. */
function withSignal<O extends { readonly signal?: AbortSignal }>(
  options: O | undefined,
  signal: AbortSignal | undefined,
): O | undefined {
  if (!options || !signal) return options;
  return { ...options, signal: options.signal ? AbortSignal.any([options.signal, signal]) : signal };
}

async function tunedPlan(
  model: Module,
  plan: KernelPlan,
  options: TuneOptions | undefined,
): Promise<KernelPlan> {
  if (!options || !samplesOf(options)?.length || plan.sites.length === 0) return plan;
  const notes = await tuneSites(model, plan, options);
  return { ...plan, notes: [...new Set([...plan.notes, ...notes])] };
}

function remember(model: Module, state: State): KernelReport {
  states.set(model, state);
  return state.report;
}

async function applyAll(plan: KernelPlan): Promise<AppliedSite[]> {
  const applied: AppliedSite[] = [];
  const release = releaseAfterLast(plan);
  try {
    for (const site of plan.sites) {
      const made = inContext({ site: site.path, kernel: site.kernel.name }, () => applySite(site, release));
      applied.push(made);
      await made.settle();
      // What the original held is free now: given back before the next site asks for more.
      gpuIfOpen()?.trim();
    }
    return applied;
  } catch (error) {
    undoAll(applied);
    throw error;
  }
}

/** Weights that were converted while loading, with no way back, exist in the layouts only. */
function checkNothingLost(applied: readonly AppliedSite[]): void {
  const lost = lostWithout(applied.map((a) => a.plan));
  if (!lost) return;
  const { site: { kernel, path }, key } = lost;
  raise(
    "KW-CONVERT-NO-REVERSE",
    `Cannot take ${kernel.name} out: "${key}" was converted while loading, and there is no way back`,
    "Load the model without that kernel; or dispose() it first, if its weights are not wanted any more.",
    { site: path, kernel: kernel.name },
  );
}

function undoAll(applied: readonly AppliedSite[]): void {
  for (const site of [...applied].reverse()) site.undo();
  gpuIfOpen()?.trim();
}
