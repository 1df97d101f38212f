/**
 * Kernels that would stand in the tree and never run: whoever runs the original holds it elsewhere, as in a closure.
 *
 * Told by a second run on meta, with the kernels in place and all values where they are.
 */
import type { Module } from "../nn/mod.ts";
import { placeSite } from "./swap/apply.ts";
import { type KeptSite, type KernelPlan, type PlannedSite, raiseNoFit } from "./plan/plan.ts";
import { traceModel } from "./prove/trace.ts";
import { indexTree } from "./match/tree.ts";

/**
 * The plan without the sites whose kernels would never run: their originals would run on, without their weights.
 *
 * @throws KW-SELECT-NONE where such a site may not fall back.
 */
export function withoutNeverRun(
  root: Module,
  plan: KernelPlan,
  inputs: readonly (readonly unknown[])[],
): KernelPlan {
  const never = neverRun(root, plan.sites, inputs);
  if (never.size === 0) return plan;
  const kept = [...never].map(([{ match, path, nodes, considered }, why]): KeptSite => {
    const refused = considered.map((c) => c.taken ? { ...c, taken: false, why } : c);
    if ("fallback" in match.entry && match.entry.fallback === false) raiseNoFit(path, refused);
    return { path, nodes, why, considered: refused };
  });
  return { ...plan, sites: plan.sites.filter((s) => !never.has(s)), kept: [...plan.kept, ...kept] };
}

// ---------------------------------------------------------------------------

function neverRun(
  root: Module,
  sites: readonly PlannedSite[],
  inputs: readonly (readonly unknown[])[],
): Map<PlannedSite, string> {
  const why = new Map<PlannedSite, string>();
  const placed = sites.filter((s) => s.layout && s.forwardChecked);
  if (placed.length === 0 || inputs.length === 0) return why;
  const before = indexTree(root);
  const swaps = sites.map(placeSite);
  try {
    for (const swap of swaps) swap.putIn();
    const tree = indexTree(root);
    for (const given of inputs) {
      const { callsOf } = traceModel(root, tree, given);
      for (const site of placed) {
        const [call] = site.nodes.flatMap((n) => callsOf.get(n.module) ?? []);
        if (!call || why.has(site)) continue;
        const user = call.caller?.module;
        const path = user && before.byModule.get(user)?.path;
        why.set(
          site,
          `${site.kernel.name} would never run: ${
            user ? `the forward of ${user.constructor.name}` : "the caller"
          }` +
            `${
              path ? ` at "${path}"` : ""
            } runs the original, which it holds elsewhere than in its property ` +
            `(a closure, a private field, a list)`,
        );
      }
    }
  } finally {
    for (const swap of swaps.reverse()) swap.takeOut();
  }
  return why;
}
