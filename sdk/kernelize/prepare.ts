/** From a config to a plan whose kernels are loaded and whose shaders are compiled. Nothing is changed here. */
import type { KernelClass, KernelDefinition } from "../authoring/mod.ts";
import { throwIfAborted } from "../abort.ts";
import { didYouMean, inContext, KernelwrightError, raise } from "../errors.ts";
import { type OpenedGpu, openedGpu } from "../gpu/mod.ts";
import type { Module } from "../nn/mod.ts";
import { type Candidate, textRefs } from "./config/choice.ts";
import { disable, type KernelConfig, parseKernelConfig, replace } from "./config/config.ts";
import type { ExampleInputs, KernelizeOptions } from "./kernelize.ts";
import { withoutNeverRun } from "./never_run.ts";
import { resolveLocal } from "./config/local.ts";
import { orAborted } from "./or_aborted.ts";
import { hintingAtHidden } from "./prove/hidden.ts";
import { kernelMapping } from "./config/mapping.ts";
import { type KernelPlan, planKernels, withoutRival, withRivals } from "./plan/plan.ts";
import { races } from "./verify/rivals.ts";
import type { Target } from "./match/select.ts";
import { kernelsOff } from "./config/off.ts";
import { samplesOf } from "./plan/samples.ts";
import { recallTuned } from "./tune/tune.ts";
import type { TreeIndex } from "./match/tree.ts";

/** What a plan is made from. */
export interface Prepared {
  /** The config, checked. */
  readonly config: KernelConfig;
  /** The classes that its references name. */
  readonly classes: ReadonlyMap<string, KernelClass>;
  /** What the report should say. */
  readonly notes: readonly string[];
  /** Why no kernel is to be put in. */
  readonly off: string | undefined;
}

/** Checks a config, or takes the mapping in scope, and loads the kernels. `tree` is that of the model without kernels. */
export async function loadKernels(
  config: KernelConfig | undefined,
  tree: TreeIndex,
  options: KernelizeOptions,
): Promise<Prepared> {
  const { config: chosen, notes } = config
    ? { config: parseKernelConfig(config), notes: [] }
    : hintingAtHidden(tree, Object.keys(kernelMapping()), () =>
      samplesToTrace(tree.nodes[0].module, options), () =>
      configInScope(tree));
  throwIfAborted(options.signal, "kernelize");
  const off = kernelsOff();
  const classes = off ? new Map<string, KernelClass>() : await loadClasses(chosen, tree, options);
  return {
    config: chosen,
    classes,
    notes: off ? [`no kernel was put in: ${off}`, ...notes] : notes,
    off,
  };
}

/**
 * Plans, and compiles what the kernels will need.
 *
 * @param look Runs its argument while the model's original modules are in place; nothing waits inside.
 */
export async function prepare(
  model: Module,
  { config, classes, notes, off }: Prepared,
  options: KernelizeOptions,
  look: <T>(fn: () => T) => T = (fn) => fn(),
): Promise<KernelPlan> {
  const gpu = openedGpu();
  const target: Target = {
    mode: options.mode ?? "inference",
    device: gpu &&
      { features: gpu.features, limits: gpu.limits as unknown as Record<string, number>, info: gpu.info },
  };
  const resolve = (c: Candidate) => typeof c.kernel === "string" ? classes.get(c.kernel)! : c.kernel;
  let plan = look(() => {
    const samples = off ? [] : samplesToTrace(model, options);
    const rivals = races(options.verify);
    const plan = planKernels(model, config, { target, samples, resolve, notes, off, rivals });
    return withoutNeverRun(model, plan, samples);
  });
  if (gpu) plan = await compiled(plan, gpu, options.signal);
  const more = gpu ? await recallTuned(plan, gpu, { ...options.tune, signal: options.signal }, look) : [];
  for (const { tuning } of withRivals(plan.sites)) tuning?.traced.clear(); // they may hold caches
  return more.length > 0 ? { ...plan, notes: [...plan.notes, ...more] } : plan;
}

// ---------------------------------------------------------------------------

/** What the model is traced with. */
function samplesToTrace(model: Module, options: KernelizeOptions): readonly (readonly unknown[])[] {
  return samplesOf(options) ?? (model as Module & Partial<ExampleInputs>).exampleInputs?.() ??
    samplesOf(options.tune) ?? [];
}

/** Compiles what the sites need. A rival that does not compile is left out: what runs without it is there. */
async function compiled(
  plan: KernelPlan,
  gpu: OpenedGpu,
  signal: AbortSignal | undefined,
): Promise<KernelPlan> {
  if (plan.sites.some((s) => s.rivals.length > 0)) await gpu.sync(); // what fails must take no other's work with it
  const broken = new Map<string, Map<KernelDefinition, KernelwrightError>>();
  const sites = new Map(plan.sites.map((s) => [s.path, s]));
  for (const { request, where, kernel } of plan.pipelines) {
    throwIfAborted(signal, "kernelize");
    try {
      await gpu.pipelines.prepare([request], where);
    } catch (error) {
      gpu.throwIfLost(error);
      const needed = sites.get(where.site!)?.kernel === kernel;
      if (needed || !(error instanceof KernelwrightError) || !error.code.startsWith("KW-SHADER-")) {
        throw error;
      }
      const at = broken.get(where.site!);
      if (at) at.set(kernel, error);
      else broken.set(where.site!, new Map([[kernel, error]]));
    }
  }
  if (broken.size === 0) return plan;
  return {
    ...plan,
    sites: plan.sites.map((site) => {
      const failed = broken.get(site.path);
      if (!failed) return site;
      let { considered } = site;
      for (const [kernel, error] of failed) considered = withoutRival(considered, kernel, error);
      const rivals = site.rivals.filter((r) => !failed.has(r.kernel)).map((r) => ({ ...r, considered }));
      return { ...site, considered, rivals };
    }),
  };
}

/**
 * The config for a tree from the mapping in scope. Names that the tree lacks are left out and said: a mapping serves
 * many models.
 *
 * @throws KW-MAPPING-NONE when there is no mapping, KW-MATCH-NAME when it has nothing for this tree.
 */
function configInScope(tree: TreeIndex): { config: KernelConfig; notes: string[] } {
  const mapping = Object.entries(kernelMapping());
  if (mapping.length === 0) {
    raise(
      "KW-MAPPING-NONE",
      "kernelize was given no config, and no kernel mapping is in scope",
      "Pass a config, or call it inside useKernelMapping(…), or after registerKernelMapping(…).",
    );
  }
  const names = mapping.map(([name]) => name);
  const fitting = mapping.filter(([name]) => tree.byName.has(name));
  const others = names.filter((name) => !tree.byName.has(name));
  if (fitting.length === 0) {
    raise(
      "KW-MATCH-NAME",
      `The kernel mapping has kernels for ${names.join(", ")}, and the model has no such layer`,
      didYouMean(names[0], tree.byName.keys()),
    );
  }
  return {
    config: {
      kernels: fitting.map(([name, choice]) => choice === null ? disable(name) : replace(name, choice)),
    },
    notes: others.map((name) => `the kernel mapping's "${name}" is not a layer of this model`),
  };
}

async function loadClasses(
  config: KernelConfig,
  tree: TreeIndex,
  options: KernelizeOptions,
): Promise<Map<string, KernelClass>> {
  const classes = new Map<string, KernelClass>();
  const resolve = options.resolver ?? resolveLocal;
  const purpose = { modules: tree.nodes.map((n) => n.module), config };
  for (const [i, entry] of config.kernels.entries()) {
    if (!("with" in entry)) continue;
    const json = `kernels[${i}].with`;
    for (const ref of inContext({ json }, () => textRefs(entry.with))) {
      if (classes.has(ref)) continue;
      try {
        const loading = resolve(ref, options.base, purpose);
        classes.set(ref, await orAborted(loading, options.signal, "kernelize"));
      } catch (error) {
        throwIfAborted(options.signal, "kernelize");
        inContext({ json }, () => refuse(error, ref));
      }
    }
  }
  return classes;
}

function refuse(error: unknown, ref: string): never {
  // Made again, so that it says where the reference stands.
  if (error instanceof KernelwrightError) throw new KernelwrightError(error.diagnostic, error.cause);
  raise(
    "KW-REF-MISSING",
    `Cannot load ${JSON.stringify(ref)}: ${String(error)}`,
    "Its code was found, and failed when it was imported: deno check may say more.",
    undefined,
    error,
  );
}
