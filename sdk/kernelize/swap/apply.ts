/**
 * Puts planned sites into the tree, and takes them out again.
 *
 * Only instances change: one property of each part's parent, and one own `forward` on the layout (or on the module
 * itself where there is no layout). Every change brings its own undo, so that a failure half-way leaves nothing.
 */
import { inContext } from "../../errors.ts";
import { Identity, type Module } from "../../nn/mod.ts";
import { proveTensors } from "../../gpu/mod.ts";
import { keep, type Parameter } from "../../tensor/mod.ts";
import { SharedResults } from "./parallel.ts";
import { setChild } from "../match/slot.ts";
import type { KernelPlan, PlannedSite } from "../plan/plan.ts";
import type { Node } from "../match/tree.ts";
import { tunedForward } from "../plan/tuned_calls.ts";
import { guarded } from "../plan/writes.ts";
import type { KeyedParameter } from "../../checkpoint/mod.ts";
import type { PlannedRule, SitePlanConversions } from "../prove/conversions.ts";

/** A site that is swapped. */
export interface AppliedSite {
  /** The plan. */
  readonly plan: PlannedSite;
  /** Waits until the converted values are there, and releases those that they were made of. */
  settle(): Promise<void>;
  /** Puts the original modules and their values back. */
  undo(): void;
  /** Puts the original modules back without their values, to be looked at on meta. Returns what ends that. */
  setAside(): () => void;
}

/** Whether a parameter's values may go once a rule has read them. */
export type Release = (parameter: Parameter, rule: PlannedRule) => boolean;

/**
 * Releases what only swapped modules hold, once the last conversion has read it: a tied parameter is the source of
 * several, in one site or in many.
 */
export function releaseAfterLast({ sites, tree }: KernelPlan): Release {
  const swapped = new Set(sites.flatMap((s) => s.layout ? s.nodes : []));
  const isSwapped = (at: Node | undefined): boolean => !!at && (swapped.has(at) || isSwapped(at.parent));
  const last = new Map<Parameter, PlannedRule>();
  for (const { conversions } of sites) {
    for (const rule of conversions.rules) for (const s of rule.sources) last.set(s.parameter, rule);
  }
  return (p, rule) => last.get(p) === rule && (tree.holders.get(p)?.every(isSwapped) ?? true);
}

/** A parameter of an original that would be lost with some layouts: its bytes are nowhere else. */
export function lostWithout(
  sites: readonly PlannedSite[],
): (KeyedParameter & { site: PlannedSite }) | undefined {
  const full = (rule: PlannedRule) => rule.targets.some((t) => t.parameter.materialized);
  const rules = sites.flatMap((s) => s.conversions.rules);
  const back = new Set(
    rules.flatMap((r) => full(r) && !r.bound.rule.loadOnly ? r.sources.map((s) => s.parameter) : []),
  );
  for (const site of sites) {
    const { rules, dropped } = site.conversions;
    if (!rules.some(full)) continue;
    const gone = [...dropped, ...rules.flatMap((r) => r.bound.rule.loadOnly ? r.sources : [])]
      .find(({ parameter }) => !parameter.materialized && !back.has(parameter));
    if (gone) return { ...gone, site };
  }
  return undefined;
}

/**
 * Swaps one site. Where the original has values they are converted on their device; they stay until the site is
 * settled, so that they are still there if the device turns out to lack the memory.
 */
export function applySite(site: PlannedSite, release: Release = () => true): AppliedSite {
  const undo: (() => void)[] = [];
  const converted: Converted[] = [];
  try {
    for (const rule of site.conversions.rules) {
      const made = convertRule(rule, site.conversions, release);
      converted.push(made);
      undo.push(made.undo);
    }
    const swap = placeSite(site);
    undo.push(swap.takeOut);
    swap.putIn();
    return {
      plan: site,
      settle: async () => {
        const made = converted.splice(0).filter((c) => c.live);
        if (made.length === 0) return;
        await proveTensors(made.flatMap((c) => c.live!.targets.map((t) => t.parameter)));
        for (const c of made) unload(c.live!.own);
      },
      undo: () => undo.splice(0).reverse().forEach((step) => step()),
      setAside: () => {
        swap.takeOut();
        return swap.putIn;
      },
    };
  } catch (error) {
    for (const step of undo.reverse()) step();
    throw error;
  }
}

/** The forward of a kernel bound to its layout, or to the module; errors inside know their site. */
export function boundForward(site: PlannedSite): (...args: unknown[]) => unknown {
  const { kernel, path, tuning, writes } = site;
  const self = site.layout ?? site.nodes[0].module;
  const where = { site: path, kernel: kernel.name };
  const forward = tunedForward(kernel, self, tuning);
  if (!writes) return (...args) => inContext(where, () => forward(args));
  return (...args) => inContext(where, () => guarded(kernel, self, args, writes, () => forward(args)));
}

/** Fills a rule's targets from its sources, which stay as they are. */
export function fillTargets(rule: PlannedRule): void {
  const values = rule.bound.run(rule.sources.map((s) => s.parameter));
  values.forEach((value, i) => rule.targets[i].parameter.assign(keep(value)));
}

// ---------------------------------------------------------------------------

/** A rule that has been run. */
interface Converted {
  undo(): void;
  /** What it filled, and what may go; undefined where nothing has values yet. */
  readonly live?: { readonly targets: readonly KeyedParameter[]; readonly own: readonly KeyedParameter[] };
}

function convertRule(rule: PlannedRule, { reversible }: SitePlanConversions, release: Release): Converted {
  // What cannot be had back, or is somebody else's too, stays where it is.
  const own = reversible ? rule.sources.filter((s) => release(s.parameter, rule)) : [];
  const live = rule.sources.some((s) => s.parameter.materialized);
  if (live) fillTargets(rule);
  const undo = () => {
    // Loaded in between, or live from the start: the values are in the layout now.
    if (!rule.targets.some((t) => t.parameter.materialized)) return;
    // Another site may stand for the same parameter, and have brought it back already.
    if (!rule.bound.rule.loadOnly && rule.sources.some((s) => !s.parameter.materialized)) {
      const values = rule.bound.reverse().run(rule.targets.map((t) => t.parameter));
      values.forEach((value, i) => {
        const { parameter } = rule.sources[i];
        if (parameter.materialized) value.dispose();
        else parameter.assign(keep(value));
      });
    }
    unload(rule.targets);
  };
  return { undo, live: live ? { targets: rule.targets, own } : undefined };
}

function unload(parameters: readonly KeyedParameter[]): void {
  for (const { parameter } of parameters) parameter.unload();
}

/** The modules' part of a swap; both ways as often as one likes. */
export function placeSite(site: PlannedSite): { putIn(): void; takeOut(): void } {
  const { nodes, layout } = site;
  const self = layout ?? nodes[0].module;
  let forward = boundForward(site);
  const others: Module[] = [];
  let shared: SharedResults | undefined;
  if (site.match.kind === "fusesParallel") {
    const results = shared = new SharedResults(forward);
    forward = (...args) => results.run(args);
    for (let i = 1; i < nodes.length; i++) others.push(results.output(i));
  } else for (let i = 1; i < nodes.length; i++) others.push(new Identity());

  const before = Object.getOwnPropertyDescriptor(self, "forward");
  const replacements = layout ? [layout, ...others] : [];
  let placed = 0; // a setter may throw half-way
  return {
    putIn: () => {
      Object.defineProperty(self, "forward", {
        value: forward,
        configurable: true,
        writable: true,
        enumerable: false,
      });
      for (placed = 0; placed < replacements.length; placed++) setChild(nodes[placed], replacements[placed]);
    },
    takeOut: () => {
      shared?.dispose();
      for (; placed > 0; placed--) setChild(nodes[placed - 1], nodes[placed - 1].module);
      if (before) Object.defineProperty(self, "forward", before);
      else delete (self as unknown as Record<string, unknown>).forward;
    },
  };
}
