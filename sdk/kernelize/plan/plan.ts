/**
 * Everything that will be swapped, proven on the meta device before a byte of weights is read or moved.
 *
 *   match ─► check instances ─► select ─► build layout ─► conversions ─► trace the wiring ─► run forward on meta
 *
 * Nothing is changed here: a plan that fails leaves the model as it was.
 */
import type { KernelClass, KernelDefinition, Layout } from "../../authoring/mod.ts";
import { inContext, KernelwrightError, raise, type Where } from "../../errors.ts";
import { collectPipelines, type PipelineRequest } from "../../gpu/mod.ts";
import type { Module } from "../../nn/mod.ts";
import { byteLength, formatSpec, sameShape, type Storage, Tensor } from "../../tensor/mod.ts";
import { type Candidate, candidatesOf } from "../config/choice.ts";
import type { KernelConfig } from "../config/config.ts";
import { hintingAtHidden } from "../prove/hidden.ts";
import { describeEntry, matchConfig, type MatchedSite, type ShadowedSite } from "../match/match.ts";
import { type Considered, selectKernel, type Target } from "../match/select.ts";
import { buildLayout, checkInstances } from "../prove/signature.ts";
import { checkSlots } from "../match/slot.ts";
import { planConversions, type SitePlanConversions } from "../prove/conversions.ts";
import { happenedIn, runOnMeta, type Trace, type TracedCall, traceModel } from "../prove/trace.ts";
import { callClass, type SiteTuning, tunedForward } from "./tuned_calls.ts";
import { indexTree, type Node, type TreeIndex } from "../match/tree.ts";
import {
  checkChain,
  checkOverwritten,
  checkParallel,
  checkProperties,
  checkWeights,
} from "../prove/wiring.ts";
import { guarded, isUnguarded, placesIn } from "./writes.ts";

/** A site that will be swapped. */
export interface PlannedSite {
  /** The path of the first module. */
  readonly path: string;
  /** The match. */
  readonly match: MatchedSite;
  /** The modules. */
  readonly nodes: readonly Node[];
  /** The kernel. */
  readonly kernel: KernelDefinition;
  /** What became of each candidate. */
  readonly considered: readonly Considered[];
  /** The layout, on meta; undefined where only forward is swapped. */
  readonly layout: Layout | undefined;
  /** How its parameters come about. */
  readonly conversions: SitePlanConversions;
  /** Bytes of the parameters before and after. */
  readonly bytes: { readonly before: number; readonly after: number };
  /** Whether forward was run on meta and compared with the original's result. */
  readonly forwardChecked: boolean;
  /** Its tuned constants, where the kernel has any to tune. */
  readonly tuning?: SiteTuning;
  /** The kinds of its first calls in the traces, see {@linkcode callClass}. */
  readonly call: string;
  /** What the originals write of a call's arguments, so that the kernel may; undefined where nobody looks. */
  readonly writes: ReadonlySet<string> | undefined;
  /** The same site with each other kernel that fits as well; none unless they are to be measured. */
  readonly rivals: readonly PlannedSite[];
}

/** The sites of a plan and their rivals. */
export function withRivals(sites: readonly PlannedSite[]): PlannedSite[] {
  return sites.flatMap((s) => [s, ...s.rivals]);
}

/** A site that keeps its original. */
export interface KeptSite {
  /** The path of the first module. */
  readonly path: string;
  /** The modules. */
  readonly nodes: readonly Node[];
  /** Why nothing was swapped. */
  readonly why: string;
  /** What became of each candidate. */
  readonly considered: readonly Considered[];
}

/** A pipeline that a site will need. */
export interface NeededPipeline {
  /** The pipeline. */
  readonly request: PipelineRequest;
  /** The site and kernel. */
  readonly where: Where;
  /** The kernel. */
  readonly kernel: KernelDefinition;
}

/** What kernelize will do. */
export interface KernelPlan {
  /** The tree, as it was matched. */
  readonly tree: TreeIndex;
  /** Sites that will be swapped, in tree order. */
  readonly sites: readonly PlannedSite[];
  /** Sites that keep their originals. */
  readonly kept: readonly KeptSite[];
  /** Sites that lost to others. */
  readonly shadowed: readonly ShadowedSite[];
  /** Every pipeline that the kernels will need. */
  readonly pipelines: readonly NeededPipeline[];
  /** What else the report should say. */
  readonly notes: readonly string[];
}

/** What a plan is made from. */
export interface PlanOptions {
  /** What kernels are chosen for. */
  readonly target: Target;
  /** The class of a candidate. */
  readonly resolve: (c: Candidate) => KernelClass;
  /** One list of arguments of the root's forward for each run to trace. Without any, only replacements are possible. */
  readonly samples: readonly (readonly unknown[])[];
  /** What the report should say first. */
  readonly notes?: readonly string[];
  /** Why every site is to keep its original. */
  readonly off?: string;
  /** Whether kernels that fit equally well will be measured, so that all of them are planned. */
  readonly rivals?: boolean;
}

/**
 * Plans a config for a model.
 *
 * @throws every mistake of the config, the kernels and the layouts; see the codes of each step.
 */
export function planKernels(root: Module, config: KernelConfig, options: PlanOptions): KernelPlan {
  const tree = indexTree(root);
  const { sites: matches, shadowed } = hintingAtHidden(
    tree,
    config,
    () => options.samples,
    () => matchConfig(tree, config),
  );
  const kept: KeptSite[] = [];
  const chosen: { match: MatchedSite; kernels: KernelDefinition[]; considered: readonly Considered[] }[] = [];
  for (const match of matches) {
    const { entry, nodes } = match;
    const path = nodes[0].path;
    if (options.off || "disable" in entry) {
      kept.push({ path, nodes, why: options.off ?? describeEntry(entry, match.index), considered: [] });
      continue;
    }
    const modules = nodes.map((n) => n.module);
    const { kernel, rivals, considered } = inContext(
      { site: path },
      () =>
        selectKernel(
          candidatesOf(entry.with),
          modules,
          options.target,
          options.resolve,
          (k) => inContext({ kernel: k.name }, () => checkInstances(match, k)),
        ),
    );
    if (kernel) chosen.push({ match, kernels: [kernel, ...options.rivals ? rivals : []], considered });
    else if (entry.fallback === false) raiseNoFit(path, considered);
    else {
      const why = considered.map((c) => `${c.kernel}: ${c.why}`).join("; ");
      kept.push({ path, nodes, why, considered });
    }
  }
  const leaving = chosen.flatMap(({ match, kernels }) =>
    kernels.some((k) => k.layout) ? match.nodes.map((n) => n.module) : []
  );
  const traces = chosen.length > 0
    ? options.samples.map((inputs) => traceModel(root, tree, inputs, leaving))
    : [];
  const pipelines: NeededPipeline[] = [];
  const sites = chosen.map(({ match, kernels: [kernel, ...others], considered }): PlannedSite => {
    const plan = (k: KernelDefinition) =>
      inContext(
        { site: match.nodes[0].path, kernel: k.name },
        () => planSite(match, k, considered, traces, tree, pipelines),
      );
    return withFitting(plan(kernel), others, plan);
  });
  return { tree, sites, kept, shadowed, pipelines, notes: options.notes ?? [] };
}

// ---------------------------------------------------------------------------

/**
 * A site with the other kernels that fit it. One whose shader this device's reader refuses would never run, and is
 * not a reason to fail; a kernel that is wrong is.
 */
function withFitting(
  site: PlannedSite,
  others: readonly KernelDefinition[],
  plan: (kernel: KernelDefinition) => PlannedSite,
): PlannedSite {
  const rivals: PlannedSite[] = [];
  let { considered } = site;
  for (const kernel of others) {
    try {
      rivals.push(plan(kernel));
    } catch (error) {
      if (!(error instanceof KernelwrightError) || !error.code.startsWith("KW-SHADER-")) throw error;
      considered = withoutRival(considered, kernel, error);
    }
  }
  return { ...site, considered, rivals: rivals.map((r) => ({ ...r, considered })) };
}

/** What is told of a kernel that was not needed and could not have run. */
export function withoutRival(
  considered: readonly Considered[],
  { name, version }: KernelDefinition,
  { code, diagnostic }: KernelwrightError,
): Considered[] {
  const why = `it cannot be used: ${code}: ${diagnostic.what.split("\n")[0]}`;
  return considered.map((c) => !c.taken && c.kernel === name && c.version === version ? { ...c, why } : c);
}

function planSite(
  match: MatchedSite,
  kernel: KernelDefinition,
  considered: readonly Considered[],
  traces: readonly Trace[],
  tree: TreeIndex,
  pipelines: NeededPipeline[],
): PlannedSite {
  const { nodes } = match;
  if (kernel.layout && !nodes[0].parent) {
    raise(
      "KW-MATCH-ROOT",
      "The model itself cannot be replaced by a layout: nothing holds it",
      "Replace a module inside it, or wrap it in a module.",
    );
  }
  if (match.kind !== "replaces") {
    if (traces.length === 0) {
      raise(
        "KW-TRACE-INPUTS",
        "A fusion is proven by running the model once on meta, and its inputs are not known",
        "Pass { inputs: […] } to kernelize, or give the model an exampleInputs() method.",
      );
    }
    for (const trace of traces) (match.kind === "fuses" ? checkChain : checkParallel)(nodes, trace, tree);
  }
  const layout = buildLayout(match, kernel);
  checkSlots(nodes, layout);
  const conversions = layout
    ? planConversions(kernel.layout!, layout, nodes)
    : { rules: [], dropped: [], reversible: true };
  for (const trace of layout ? traces : []) {
    checkWeights(nodes, trace, tree);
    checkProperties(nodes, layout!, kernel.layout!.name, trace, tree);
  }
  const self = layout ?? nodes[0].module;
  let forwardChecked = false;
  const tuning: SiteTuning | undefined = kernel.tune && { chosen: new Map(), traced: new Map() };
  const writes = isUnguarded(tree.nodes[0].module) ? undefined : new Set<string>();
  for (const trace of traces) {
    const calls = trace.callsOf.get(nodes[0].module) ?? [];
    for (const { args } of tuning ? calls : []) tuning?.traced.set(callClass(args), args);
    // A forward may do something else for other shapes.
    for (const call of new Map(calls.toReversed().map((c) => [callClass(c.args), c])).values()) {
      const results = nodes.map((n) => n === nodes[0] ? call.result : trace.callsOf.get(n.module)![0].result);
      const expected = match.kind === "fusesParallel" ? results : results.at(-1);
      if (writes) { for (const place of writtenByOriginals(nodes, call, trace)) writes.add(place); }
      collectPipelines(
        (request, where) => pipelines.push({ request, where, kernel }),
        () =>
          checkForward(
            kernel,
            self,
            call.args,
            expected,
            writes,
            (m) => checkOverwritten(nodes, m, call, trace, tree),
          ),
      );
      forwardChecked = true;
    }
  }
  return {
    path: nodes[0].path,
    match,
    nodes,
    kernel,
    considered,
    layout,
    conversions,
    bytes: { before: bytesOf(nodes.map((n) => n.module)), after: bytesOf(layout ? [layout] : [self]) },
    forwardChecked,
    tuning,
    call: traces.map((t) => callClass(t.callsOf.get(nodes[0].module)?.[0].args ?? [])).join("; "),
    writes,
    rivals: [],
  };
}

/** The places in a call's arguments, and among a module's own parameters, that the modules at a site write. */
function writtenByOriginals(nodes: readonly Node[], call: TracedCall, trace: Trace): string[] {
  return [...placesIn(nodes[0].module, call.args)].filter(([memory]) =>
    trace.writers.get(memory)?.some((op) => nodes.some((n) => happenedIn(op, n.module)))
  ).map(([, place]) => place);
}

function bytesOf(modules: readonly Module[]): number {
  return modules.flatMap((m) => [...m.namedParameters()]).reduce((n, [, p]) => n + byteLength(p), 0);
}

function checkForward(
  kernel: KernelDefinition,
  self: Module,
  args: readonly unknown[],
  expected: unknown,
  writes: ReadonlySet<string> | undefined,
  overwritten: (memory: Storage) => void,
): void {
  let actual: unknown;
  const given = args.map(alive);
  const forward = () => tunedForward(kernel, self, undefined)(given);
  const wrote = new Set<Storage>();
  try {
    actual = runOnMeta(() =>
      writes ? guarded(kernel, self, given, writes, forward, (m) => wrote.add(m)) : forward()
    );
  } catch (cause) {
    if (cause instanceof KernelwrightError) throw cause;
    // The class is frozen: a forward that keeps something on it is told by the engine, which quotes the whole class.
    const changed = cause instanceof TypeError &&
      /(?:read only property|add property) '?(\w+)'?/.exec(cause.message)?.[1];
    if (changed) {
      raise(
        "KW-KERNEL-STATE",
        `The forward of ${kernel.name} sets "${changed}"`,
        "A kernel keeps nothing between calls.",
        undefined,
        cause,
      );
    }
    raise(
      "KW-KERNEL-FORWARD",
      `The forward of ${kernel.name} failed on meta: ${String(cause)}`,
      "A forward must run on tensors without values.",
      undefined,
      cause,
    );
  }
  for (const memory of wrote) overwritten(memory);
  const [got, wanted] = [describeResult(actual), describeResult(expected)];
  if (!sameResult(actual, expected)) {
    raise(
      "KW-SIGNATURE-FORWARD",
      `The forward of ${kernel.name} returns ${got}; the modules that it stands for return ${wanted}`,
      "Return the same shapes and dtypes, in the same form.",
    );
  }
}

/** The model's forward may have released what it gave the original. */
function alive(value: unknown): unknown {
  if (!(value instanceof Tensor) || !value.released) return value;
  return Tensor.empty(value.shape, { dtype: value.dtype, device: "meta" });
}

function sameResult(a: unknown, b: unknown): boolean {
  if (a instanceof Tensor && b instanceof Tensor) return a.dtype === b.dtype && sameShape(a.shape, b.shape);
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((v, i) => sameResult(v, b[i]));
  }
  return !(a instanceof Tensor) && !(b instanceof Tensor) && typeof a === typeof b &&
    Array.isArray(a) === Array.isArray(b);
}

function describeResult(value: unknown): string {
  if (value instanceof Tensor) return formatSpec(value);
  if (Array.isArray(value)) return `[${value.map(describeResult).join(", ")}]`;
  if (value instanceof Promise) return "a promise";
  return value === undefined ? "nothing" : typeof value;
}

/** Raises KW-SELECT-NONE with what each kernel lacked. */
export function raiseNoFit(path: string, considered: readonly Considered[]): never {
  throw new KernelwrightError({
    code: "KW-SELECT-NONE",
    what: `No kernel fits "${path}", and the entry says fallback: false`,
    where: { site: path },
    notes: considered.map((c) => `${c.kernel}: ${c.why}`),
    fix: "Add a kernel that fits, or allow the original with fallback: true.",
  });
}
