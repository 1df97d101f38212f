/**
 * Which of several kernels that fit a site equally well is to run there: the fastest of those that are right.
 *
 *   each kernel in turn ─► verified and timed beside the original ─► time ÷ the original's time ─► the least wins
 *
 * The original is the yardstick, since it runs in turn with each of them. Sites that are alike (same entry, shapes and
 * dtypes) are judged together: they run the same kernel, and chance weighs less.
 */
import { KernelwrightError } from "../../errors.ts";
import { leastOf } from "../../extremes.ts";
import { canTime, clearlyFaster, gpuIfOpen } from "../../gpu/mod.ts";
import type { Module } from "../../nn/mod.ts";
import { formatSpec } from "../../tensor/mod.ts";
import { visibleLine } from "../../visible.ts";
import type { KernelPlan, PlannedSite } from "../plan/plan.ts";
import type { Considered } from "../match/select.ts";
import { describeWrong, type SiteFindings, type VerifyOptions, verifySites, wrongIn } from "./verify.ts";

/** A site with one of the kernels that fit it, and what verification found out; nothing where no sample came by. */
export interface Entrant {
  /** The site, with that kernel. */
  readonly site: PlannedSite;
  /** What was found. */
  readonly found: SiteFindings | undefined;
}

/** Whether kernels that fit equally well will be measured. */
export function races(options: VerifyOptions | undefined): boolean {
  return options !== undefined && options.time !== false && gpuIfOpen() !== undefined && canTime();
}

/** Verifies each site with each of its kernels; by path, the kernels in the order in which they fit. */
export async function entrantsOf(
  model: Module,
  plan: KernelPlan,
  options: VerifyOptions,
): Promise<Map<string, Entrant[]>> {
  const all = new Map<string, Entrant[]>(plan.sites.map((s) => [s.path, []]));
  const several = new Set(plan.sites.filter((s) => s.rivals.length > 0).map((s) => s.path));
  for (let place = 0;; place++) {
    const sites = plan.sites.flatMap((s) => [s, ...s.rivals].slice(place, place + 1));
    if (sites.length === 0) return all;
    const spare = ({ path }: PlannedSite) => several.has(path);
    const found = await verifySites(model, sites, options, spare);
    for (const site of sites) all.get(site.path)!.push({ site, found: found.get(site.path) });
  }
}

/**
 * The plan with the winners, and what was found about them.
 *
 * @throws what a kernel threw, where none of a site's others works either.
 */
export function racePlan(
  plan: KernelPlan,
  entrants: ReadonlyMap<string, readonly Entrant[]>,
): { plan: KernelPlan; findings: Map<string, SiteFindings> } {
  const findings = new Map<string, SiteFindings>();
  const winners = new Map<PlannedSite, PlannedSite>();
  for (const alike of Map.groupBy(plan.sites, kindOf).values()) {
    const { winner, considered } = judge(alike.map((s) => entrants.get(s.path)!));
    for (const site of alike) {
      const { site: taken, found } = entrants.get(site.path)![winner];
      winners.set(site, { ...taken, considered, rivals: [] });
      if (found) findings.set(site.path, found);
    }
  }
  return { plan: { ...plan, sites: plan.sites.map((s) => winners.get(s)!) }, findings };
}

/** A name that alike sites share: same entry, shapes, dtypes and candidates. */
export function kindOf({ match, nodes, call, considered }: PlannedSite): string {
  const parameters = nodes.flatMap((n) => [...n.module.namedParameters()].map(([, p]) => formatSpec(p)));
  return [match.index, call, ...parameters, JSON.stringify(considered)].join("\n");
}

/** The kernel's time as a share of the original's, over all sites; undefined where one could not be timed. */
export function shareOf(found: readonly SiteFindings[]): number | undefined {
  const timed = found.map((f) => f.ms).filter((ms) => ms !== undefined);
  const before = timed.reduce((n, ms) => n + ms.before, 0);
  if (timed.length === 0 || timed.length < found.length || before <= 0) return undefined;
  return timed.reduce((n, ms) => n + ms.after, 0) / before;
}

// ---------------------------------------------------------------------------

/** `alike` holds for each site its kernels, in the same order. */
function judge(
  alike: readonly (readonly Entrant[])[],
): { winner: number; considered: readonly Considered[] } {
  const kernels = alike[0].map((e) => e.site.kernel);
  const { considered } = alike[0][0].site;
  const runs = kernels.map((_, k) =>
    alike.map((entrants) => entrants[k].found).filter((f) => f !== undefined)
  );
  const flaws = runs.map((found) => found.map(wrongIn).find((d) => d !== undefined));
  // As shares of the original's time: the lower, the faster.
  const shares = runs.map(shareOf);
  const errors = runs.map((found) => found.find((f) => f.error !== undefined)?.error);
  const works = [...kernels.keys()].filter((k) => errors[k] === undefined);
  if (works.length === 0) throw errors[0];
  const right = works.filter((k) => runs[k].length > 0 && !flaws[k]);
  const timed = right.filter((k) => shares[k] !== undefined);
  const allWrong = right.length === 0 && works.length === kernels.length;
  if (kernels.length === 1 || allWrong) return { winner: 0, considered };
  const least = leastOf(timed.map((k) => shares[k]!));
  // Noise must not choose: of those about as fast as the fastest, the one that the config prefers.
  const winner = timed.find((k) => !clearlyFaster(least, shares[k]!)) ?? right[0] ?? works[0];
  const { name } = kernels[winner];
  const times = (k: number) => shares[k]! / shares[winner]!;
  const beaten = timed.filter((k) => k !== winner && clearlyFaster(1, times(k)));
  const why = (k: number, before: string): string => {
    if (k === winner) {
      const gains = beaten.map((b) => `${times(b).toFixed(2)}× faster than ${kernels[b].name}`).join(", ");
      return gains
        ? `it is ${gains}`
        : k === 0 || right.length === 0
        ? before
        : "it fits as well as those that are not right here";
    }
    if (errors[k] !== undefined) return `it cannot be used: ${sayError(errors[k])}`;
    if (flaws[k]) return `it ${describeWrong(flaws[k])}`;
    if (right.length === 0) return before;
    if (!timed.includes(k)) return `${name} fits equally well, and this one could not be timed`;
    if (beaten.includes(k)) return `${name} is ${times(k).toFixed(2)}× faster here`;
    return `${name} is about as fast, and is given later`;
  };
  return {
    winner,
    considered: considered.map((c) => {
      const k = kernels.findIndex(({ name, version }) => name === c.kernel && version === c.version);
      return k < 0 ? c : { ...c, taken: k === winner, why: why(k, c.why) };
    }),
  };
}

/** An error's first line. What a kernel throws may be no error of ours. */
function sayError(error: unknown): string {
  if (error instanceof KernelwrightError) return `${error.code}: ${error.diagnostic.what.split("\n")[0]}`;
  return visibleLine(String(error)).slice(0, 200);
}
