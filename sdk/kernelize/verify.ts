/**
 * Runs each kernel beside its original, on the activations of one real forward of the unswapped model.
 *
 *   … ─► norm ─► mlp ─► y ─► …          the original goes on as ever
 *         └─► kernel ─► k               |k − y| is reduced on the GPU; k and its weights are released at once
 *
 * One site's converted weights exist at a time, and only four numbers per site are read back.
 */
import { type Module, withObserver } from "../nn/mod.ts";
import { maxAbsDifference } from "../ops/mod.ts";
import { keep, scope, Tensor } from "../tensor/mod.ts";
import { boundForward, fillTargets } from "./apply.ts";
import type { KernelPlan, PlannedSite } from "./plan.ts";
import type { Difference } from "./report.ts";

/**
 * Compares every planned site with its original.
 *
 * @param inputs What the root's forward takes.
 * @returns The difference by site path; a site that the forward does not reach is missing.
 */
export async function measureDifferences(
  root: Module,
  plan: KernelPlan,
  inputs: readonly unknown[],
): Promise<Map<string, Difference>> {
  const first = new Map<Module, PlannedSite>();
  const last = new Map<Module, PlannedSite[]>();
  for (const site of plan.sites) {
    first.set(site.nodes[0].module, site);
    const end = site.nodes.at(-1)!.module;
    last.set(end, [...last.get(end) ?? [], site]);
  }
  const args = new Map<PlannedSite, readonly unknown[]>();
  const results = new Map<Module, unknown>();
  const measured: { site: PlannedSite; values: Tensor }[] = [];
  const observer = {
    call(module: Module, given: readonly unknown[], next: () => unknown): unknown {
      const begins = first.get(module);
      if (begins) args.set(begins, given);
      const result = next();
      results.set(module, result);
      for (const site of last.get(module) ?? []) {
        const expected = site.match.kind === "fusesParallel"
          ? site.nodes.map((n) => results.get(n.module))
          : result;
        for (const values of compare(site, args.get(site)!, expected)) measured.push({ site, values });
      }
      return result;
    },
  };
  scope(() => {
    withObserver(observer, () => root.call(...inputs));
  });
  const differences = new Map<string, Difference>();
  for (const { site, values } of measured) {
    const [absolute, relative, at, nan] = await values.data();
    values.dispose();
    const before = differences.get(site.path);
    if (!before || nan > before.nan || absolute > before.absolute || Number.isNaN(absolute)) {
      differences.set(site.path, { absolute, relative: Math.max(relative, before?.relative ?? 0), at, nan });
    }
  }
  return differences;
}

// ---------------------------------------------------------------------------

function compare(site: PlannedSite, args: readonly unknown[], expected: unknown): Tensor[] {
  try {
    for (const rule of site.conversions.rules) fillTargets(rule);
    const out = scope(() => {
      const actual = boundForward(site.kernel, site.layout ?? site.nodes[0].module, site.path)(...args);
      const [a, e] = [tensorsOf(actual), tensorsOf(expected)];
      return a.map((t, i) => maxAbsDifference(t, e[i]));
    });
    return out.map((t) => keep(t));
  } finally {
    for (const rule of site.conversions.rules) for (const t of rule.targets) t.parameter.unload();
  }
}

function tensorsOf(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value];
  return Array.isArray(value) ? value.filter((v) => v instanceof Tensor) : [];
}
