import { throwIfAborted } from "../../abort.ts";
import { canTime, currentGpu, race } from "../../gpu/mod.ts";
import { keep, scope, Tensor } from "../../tensor/mod.ts";
import { boundForward, fillTargets } from "../swap/apply.ts";
import type { PlannedSite } from "../plan/plan.ts";

/** GPU milliseconds of a site, by timestamp queries: the median of five runs in turn, summed over the samples. */
export interface SiteTime {
  /** The original modules. */
  readonly before: number;
  /** The kernel. */
  readonly after: number;
}

/** Runs the site's kernel on its layout, whose parameters have values only meanwhile. The results are kept. */
export function runKernel(site: PlannedSite, args: readonly unknown[]): Tensor[] {
  return withLayout(site, (forward) => scope(() => tensorsOf(forward(...args)).map((t) => keep(t))));
}

/** Runs the site's original modules as their parent would. */
export function runOriginals(site: PlannedSite, args: readonly unknown[]): unknown {
  const modules = site.nodes.map((n) => n.module);
  if (site.match.kind === "fusesParallel") return modules.map((m) => m.forward(...args));
  return modules.slice(1).reduce((value, m) => m.forward(value), modules[0].forward(...args));
}

/** Times original and kernel on the same arguments; undefined where the adapter cannot. */
export async function timeSite(
  site: PlannedSite,
  args: readonly unknown[],
  signal?: AbortSignal,
): Promise<SiteTime | undefined> {
  if (!canTime()) return undefined;
  const original = () => scope(() => void runOriginals(site, args));
  const [before, after] = await withLayout(site, (forward) => {
    const kernel = () => scope(() => void forward(...args));
    return race(currentGpu(), [original, kernel], {
      train: 0,
      clock: "gpu",
      check: () => throwIfAborted(signal, "verify"),
    });
  });
  return Number.isFinite(before.median + after.median)
    ? { before: before.median, after: after.median }
    : undefined;
}

/** The tensors of a forward's result. */
export function tensorsOf(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value];
  return Array.isArray(value) ? value.filter((v) => v instanceof Tensor) : [];
}

// ---------------------------------------------------------------------------

/** Fills the layout from the original's parameters, runs `fn` with the kernel's forward, and empties the layout. */
function withLayout<T>(site: PlannedSite, fn: (forward: (...args: unknown[]) => unknown) => T): T {
  const empty = () => {
    for (const rule of site.conversions.rules) for (const t of rule.targets) t.parameter.unload();
  };
  let result: T;
  try {
    for (const rule of site.conversions.rules) fillTargets(rule);
    result = fn(boundForward(site));
  } catch (error) {
    empty();
    throw error;
  }
  if (result instanceof Promise) return result.finally(empty) as T;
  empty();
  return result;
}
