/**
 * Runs each kernel beside its original, on the activations of real forwards of the unswapped model.
 *
 *   … ─► norm ─► mlp ─► y ─► …          the original goes on as usual
 *         └─► kernel ─► k               k runs at the same moment, on the same values
 *
 * Afterwards each site is also run on outliers and on tiny values, and in float64 on the host, so that a difference
 * can be judged: the original is not exact either. Only a bounded number of bytes is kept; where the sites need more,
 * the forward is run again for the rest. One site's converted weights exist at a time.
 */
import { throwIfAborted } from "../../abort.ts";
import { KernelwrightError } from "../../errors.ts";
import { type Module, withObserver } from "../../nn/mod.ts";
import { DTYPES, isTree, keep, scope, Tensor } from "../../tensor/mod.ts";
import { compareValues, defaultTolerance, type Difference, type Tolerance } from "./compare.ts";
import { bytesOf, dropAll, hold, holdAll } from "./kept_arguments.ts";
import { onReference } from "./on_reference.ts";
import type { PlannedSite } from "../plan/plan.ts";
import { writesInputs } from "../plan/writes.ts";
import { samplesOf } from "../plan/samples.ts";
import { Written } from "./written.ts";
import { runKernel, runOriginals, type SiteTime, tensorsOf, timeSite } from "./run_site.ts";

/** How swaps are verified. */
export interface VerifyOptions {
  /** What the model's forward takes: real values, on the model's device. */
  readonly inputs?: readonly unknown[];
  /** Several such lists; each is run. In place of `inputs`. */
  readonly samples?: readonly (readonly unknown[])[];
  /** The part of the largest |original| that a result may be off by; see {@linkcode defaultTolerance}. */
  readonly rtol?: number;
  /** What it may be off by on top of that. */
  readonly atol?: number;
  /** What becomes of a site that fails: an error (the default), the original stays, or only the report says it. */
  readonly onFail?: "error" | "fallback" | "report";
  /** Whether to run the originals in float64 too; defaults to true. Skipped by itself where it would take long. */
  readonly reference?: boolean;
  /** What becomes of a site whose kernel takes longer than its original: only the report says it (the default), or the original stays. */
  readonly onSlower?: "report" | "fallback";
  /**
   * Whether to time original and kernel on the GPU; defaults to true where the adapter has timestamp queries. Of
   * several kernels that fit a site equally well, the fastest that is right is taken then.
   */
  readonly time?: boolean;
  /** Stops between two steps: the model is as before, and KW-ABORTED is thrown. */
  readonly signal?: AbortSignal;
}

/** What verification found out about a site. */
export interface SiteFindings {
  /** The differences, real activations first. */
  readonly differences: readonly Difference[];
  /** GPU milliseconds of original and kernel, over all samples. */
  readonly ms?: SiteTime;
  /** What the kernel threw, where others may take its place. */
  readonly error?: unknown;
}

/** Kept activations, in bytes, before the forward is run again for the remaining sites. */
const KEPT_BYTES = 64 * 1024 * 1024;

/**
 * Compares every planned site with its original.
 *
 * @param spare Whether a site has other kernels, so that one that throws is left out and told; defaults to none.
 * @returns What was found by site path; a site that no sample reaches is missing.
 */
export async function verifySites(
  root: Module,
  sites: readonly PlannedSite[],
  options: VerifyOptions,
  spare: (site: PlannedSite) => boolean = () => false,
): Promise<Map<string, SiteFindings>> {
  const found = new Map<string, SiteFindings>();
  const failed: Failed = (site, error) => {
    if (!spare(site) || isNobodysFault(error)) throw error;
    found.set(site.path, { differences: [], error });
  };
  for (const inputs of samplesOf(options) ?? []) {
    let left = sites.filter((s) => !found.get(s.path)?.error);
    while (left.length > 0) {
      throwIfAborted(options.signal, "verify");
      const broken = new Set<PlannedSite>();
      const kept = observe(root, left, inputs, (site, error) => {
        failed(site, error);
        broken.add(site);
      });
      const measure = async (seen: Seen) => {
        const before = found.get(seen.site.path);
        const differences = merge(before?.differences ?? [], await judge(seen, options));
        const ms = options.time !== false && seen.plain
          ? await timeSite(seen.site, seen.args, options.signal)
          : undefined;
        found.set(seen.site.path, { differences, ms: addTimes(before?.ms, ms) });
      };
      try {
        for (const seen of kept) await measure(seen).catch((error) => failed(seen.site, error));
      } finally {
        for (const seen of kept) release(seen);
      }
      const done = new Set([...broken, ...kept.map((k) => k.site)]);
      if (done.size === 0) break; // the rest is not reached by this sample
      left = left.filter((s) => !done.has(s));
    }
  }
  return found;
}

/** The error for sites that failed, worst first. */
export function verifyError(
  failed: readonly { readonly path: string; readonly kernel: string; readonly worst: Difference }[],
): KernelwrightError {
  const [first] = failed;
  const say = (f: typeof first) => {
    const { worst: d } = f;
    const judged = d.kernelError === undefined
      ? ""
      : `; against float64 the kernel is off by ${short(d.kernelError)}, the original by ${
        short(d.originalError!)
      }`;
    return `${f.kernel} at "${f.path}" on ${d.inputs} inputs: ${
      d.written ? `it ${d.written}, and is ` : ""
    }off by ${short(d.absolute)} at element ${d.at}, ${short(d.allowed)} allowed${
      d.nan > 0 ? `, and ${d.nan} elements are NaN in one of the two` : ""
    }${judged}`;
  };
  return new KernelwrightError({
    code: "KW-VERIFY",
    what: `The kernel does not compute what the original computes: ${say(first)}`,
    where: { site: first.path, kernel: first.kernel },
    notes: failed.slice(1, 6).map(say),
    fix:
      'Fix the kernel, or keep the originals there with verify: { onFail: "fallback" }, or allow more with rtol and atol.',
  });
}

/** The difference that speaks most against a site's kernel, if it is not within what is allowed. */
export function wrongIn({ differences }: SiteFindings): Difference | undefined {
  const worst = differences.length > 0 ? worstOf(differences) : undefined;
  return worst?.passed === false ? worst : undefined;
}

/** `is off by 0.1 on real inputs, 0.001 allowed`. */
export function describeWrong(worst: Difference): string {
  return `${worst.written ? `${worst.written}, and ` : ""}is off by ${
    short(worst.absolute)
  } on ${worst.inputs} inputs, ${short(worst.allowed)} allowed` +
    (worst.nan > 0 ? `, and ${worst.nan} elements are NaN in one of the two` : "");
}

// ---------------------------------------------------------------------------

/** Told of what a kernel threw; throws it where nothing may take its place. */
type Failed = (site: PlannedSite, error: unknown) => void;

/** A cancelled run and a lost device say nothing about a kernel. */
function isNobodysFault(error: unknown): boolean {
  return error instanceof KernelwrightError && ["KW-ABORTED", "KW-GPU-LOST"].includes(error.code);
}

interface Seen {
  readonly site: PlannedSite;
  readonly args: readonly unknown[];
  /** Whether the arguments are tensors and plain values only, and left alone: the call can be repeated with others. */
  readonly plain: boolean;
  readonly kernel: readonly Tensor[];
  readonly original: readonly Tensor[];
  /** What the originals wrote into the arguments, and what the kernel did. */
  readonly written?: Written;
}

/** One forward of the unswapped model; keeps what each site was given and gave, up to the budget. */
function observe(
  root: Module,
  sites: readonly PlannedSite[],
  inputs: readonly unknown[],
  failed: Failed,
): Seen[] {
  const first = new Map(sites.map((s) => [s.nodes[0].module, s]));
  const last = new Map(sites.map((s) => [s.nodes.at(-1)!.module, s]));
  const args = new Map<PlannedSite, readonly unknown[]>();
  const results = new Map<Module, unknown>();
  const written = new Map<PlannedSite, Written | undefined>();
  const seen: Seen[] = [];
  const broken = new Set<PlannedSite>();
  let bytes = 0;
  const tried = (site: PlannedSite): readonly Tensor[] | undefined => {
    const run = () => runKernel(site, args.get(site)!);
    const memory = written.get(site);
    try {
      return memory ? memory.during(run) : run();
    } catch (error) {
      failed(site, error);
      broken.add(site);
      return undefined;
    }
  };
  const observer = {
    call(module: Module, given: readonly unknown[], next: () => unknown): unknown {
      const begins = first.get(module);
      if (begins && !args.has(begins)) {
        args.set(begins, given);
        if (bytes <= KEPT_BYTES) written.set(begins, Written.of(begins, given));
      }
      const result = next();
      results.set(module, result);
      const site = last.get(module);
      if (!site || !args.has(site) || seen.some((s) => s.site === site) || bytes > KEPT_BYTES) return result;
      const kernel = broken.has(site) ? undefined : tried(site); // first: nothing is held yet if it throws
      if (!kernel) return result;
      const original = tensorsOf(
        site.match.kind === "fusesParallel" ? site.nodes.map((n) => results.get(n.module)) : result,
      ).map(hold);
      const held = args.get(site)!.map((a) => holdAll(a));
      seen.push({
        site,
        args: held,
        plain: held.every((a) => isTree(a)) && !writesInputs(site),
        kernel,
        original,
        written: written.get(site),
      });
      bytes += bytesOf([...original, ...kernel, ...held, ...written.get(site)?.tensors ?? []]);
      return result;
    },
  };
  try {
    scope(() => void withObserver(observer, () => root.call(...inputs)));
  } catch (error) {
    seen.forEach(release);
    throw error;
  } finally {
    const taken = new Set(seen.map((s) => s.site)); // released with what was seen
    for (const [site, memory] of written) if (!taken.has(site)) memory?.dispose();
  }
  return seen;
}

/** The difference that speaks most against a kernel. */
function worstOf(differences: readonly Difference[]): Difference {
  const excess = (d: Difference) => d.nan > 0 ? Infinity : d.absolute / d.allowed;
  return differences.reduce((a, b) => (excess(b) > excess(a) ? b : a));
}

async function judge(seen: Seen, options: VerifyOptions): Promise<Difference[]> {
  const { site, args, plain } = seen;
  throwIfAborted(options.signal, "verify");
  const out = await compare(seen.kernel, seen.original, args, plain, site, options, "real");
  const left = await seen.written?.differences(options) ?? [];
  if (left.length > 0) return [worstOf([...out, ...left])];
  if (!plain || !(args[0] instanceof Tensor) || !DTYPES[args[0].dtype].float || args[0].size === 0) {
    return out;
  }
  for (const kind of ["outliers", "tiny"] as const) {
    throwIfAborted(options.signal, "verify");
    using x = await changed(args[0], kind);
    const given = [x, ...args.slice(1)];
    const kernel = runKernel(site, given);
    let original: readonly Tensor[] = [];
    try {
      original = tensorsOf(scope(() => runOriginals(site, given))).map((t) => keep(t));
      for (const d of await compare(kernel, original, given, true, site, options, kind)) out.push(d);
    } finally {
      for (const t of [...original, ...kernel]) t.dispose();
    }
  }
  return out;
}

async function compare(
  kernel: readonly Tensor[],
  original: readonly Tensor[],
  args: readonly unknown[],
  plain: boolean,
  site: PlannedSite,
  options: VerifyOptions,
  kind: Difference["inputs"],
): Promise<Difference[]> {
  const exact = plain && options.reference !== false
    ? await onReference(
      site.nodes.map((n) => n.module),
      args,
      (given) => tensorsOf(runOriginals(site, given)),
    )
    : undefined;
  const out: Difference[] = [];
  for (const [i, o] of original.entries()) {
    const usual = defaultTolerance(o.dtype);
    const tolerance: Tolerance = { rtol: options.rtol ?? usual.rtol, atol: options.atol ?? usual.atol };
    out.push(compareValues(await kernel[i].data(), await o.data(), exact?.[i], o.dtype, kind, tolerance));
  }
  return out.length > 1 ? [worstOf(out)] : out;
}

/** A copy with outliers in every seventh element, as activations have them, or with everything a thousand times smaller. */
async function changed(t: Tensor, kind: "outliers" | "tiny"): Promise<Tensor> {
  const data = (await t.data()).slice();
  for (let i = 0; i < data.length; i++) {
    if (kind === "tiny") data[i] *= 1e-3;
    else if (i % 7 === 3) data[i] = i % 2 ? 800 : -800;
  }
  return keep(Tensor.from(data, { shape: t.shape, dtype: t.dtype, device: t.device }));
}

function merge(before: readonly Difference[], more: readonly Difference[]): Difference[] {
  return more.map((d) => {
    const same = before.find((b) => b.inputs === d.inputs);
    return same ? worstOf([same, d]) : d;
  });
}

/** Over all samples. */
function addTimes(a: SiteTime | undefined, b: SiteTime | undefined): SiteTime | undefined {
  return a && b ? { before: a.before + b.before, after: a.after + b.after } : a ?? b;
}

function release(seen: Seen): void {
  [...seen.args, ...seen.kernel, ...seen.original].forEach(dropAll);
  seen.written?.dispose();
}

function short(x: number): string {
  return x.toPrecision(3);
}
