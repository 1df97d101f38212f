import type { Module } from "../../nn/mod.ts";
import type { KernelPlan, PlannedSite } from "../plan/plan.ts";
import { entrantsOf, kindOf, racePlan, shareOf } from "./rivals.ts";
import { describeWrong, type SiteFindings, verifyError, type VerifyOptions, wrongIn } from "./verify.ts";

/**
 * Verifies a plan: where several kernels fit equally well it takes the fastest that is right, and where none is right,
 * or all are slower than the original, it takes the site out if the options say so.
 *
 * @throws KW-VERIFY where a kernel is wrong and nothing else is wanted.
 */
export async function verifiedPlan(
  model: Module,
  planned: KernelPlan,
  options: VerifyOptions,
): Promise<{ plan: KernelPlan; findings: Map<string, SiteFindings> }> {
  const { plan, findings } = racePlan(planned, await entrantsOf(model, planned, options));
  const wrong = plan.sites.flatMap((site) => {
    const found = findings.get(site.path);
    const worst = found && wrongIn(found);
    return worst ? [{ site, path: site.path, kernel: site.kernel.name, worst }] : [];
  });
  const onFail = options.onFail ?? "error";
  if (wrong.length > 0 && onFail === "error") {
    throw verifyError(
      wrong.sort((a, b) => b.worst.absolute / b.worst.allowed - a.worst.absolute / a.worst.allowed),
    );
  }
  const reasons = new Map<PlannedSite, string>();
  if (options.onSlower === "fallback") {
    // Alike sites stay or go together: by itself, each would go by the noise of its own measurement.
    for (const alike of Map.groupBy(plan.sites, kindOf).values()) {
      const share = shareOf(alike.map((s) => findings.get(s.path)).filter((f) => f !== undefined));
      if (share === undefined || share <= 1) continue;
      for (const site of alike) {
        reasons.set(site, `${site.kernel.name} takes ${share.toFixed(2)}× the original's time`);
      }
    }
  }
  if (onFail === "fallback") {
    for (const { site, kernel, worst } of wrong) {
      reasons.set(site, `${kernel} ${describeWrong(worst)}`);
    }
  }
  const kept = [...reasons].map(([{ path, nodes, considered }, why]) => ({
    path,
    nodes,
    why,
    considered: considered.map((c) => c.taken ? { ...c, taken: false, why } : c),
  }));
  const sites = plan.sites.filter((s) => !reasons.has(s));
  return { plan: { ...plan, sites, kept: [...plan.kept, ...kept] }, findings };
}
