/**
 * Puts planned sites into the tree, and takes them out again.
 *
 * Only instances change: one property of each part's parent, and one own `forward` on the layout (or on the module
 * itself where there is no layout). Every change brings its own undo, so that a failure half-way leaves nothing.
 */
import type { KernelDefinition } from "../authoring/mod.ts";
import { inContext } from "../errors.ts";
import { Identity, type Module } from "../nn/mod.ts";
import { keep } from "../tensor/mod.ts";
import { SharedResults } from "./parallel.ts";
import { setChild } from "./slot.ts";
import type { PlannedSite } from "./plan.ts";
import { type SiteTuning, tunedForward } from "./tuning.ts";
import type { KeyedParameter } from "../checkpoint/mod.ts";
import type { PlannedRule, SitePlanConversions } from "./site_conversion.ts";

/** A site that is swapped. */
export interface AppliedSite {
  /** The plan. */
  readonly plan: PlannedSite;
  /** Puts the original modules and their values back. */
  undo(): void;
  /** Puts the original modules back without their values, to be looked at on meta. Returns what ends that. */
  setAside(): () => void;
}

/**
 * Swaps one site. Where the original has values they are converted on their device, one conversion at a time, and
 * released as soon as they have been read.
 */
export function applySite(site: PlannedSite): AppliedSite {
  const undo: (() => void)[] = [];
  try {
    for (const rule of site.conversions.rules) undo.push(convertRule(rule, site.conversions));
    const swap = swapOf(site);
    undo.push(swap.takeOut);
    swap.putIn();
    return {
      plan: site,
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
export function boundForward(
  kernel: KernelDefinition,
  self: Module,
  path: string,
  tuning?: SiteTuning,
): (...args: unknown[]) => unknown {
  const where = { site: path, kernel: kernel.name };
  const forward = tunedForward(kernel, self, tuning);
  return (...args) => inContext(where, () => forward(args));
}

/** Fills a rule's targets from its sources, which stay as they are. */
export function fillTargets(rule: PlannedRule): void {
  const values = rule.bound.run(rule.sources.map((s) => s.parameter));
  values.forEach((value, i) => rule.targets[i].parameter.assign(keep(value)));
}

// ---------------------------------------------------------------------------

function convertRule(rule: PlannedRule, { reversible, tied }: SitePlanConversions): () => void {
  // What cannot be had back, or is somebody else's too, stays where it is.
  const own = reversible ? rule.sources.filter((s) => !tied.has(s.parameter)) : [];
  const live = rule.sources.some((s) => s.parameter.materialized);
  if (live) {
    fillTargets(rule);
    unload(own);
  }
  return () => {
    // Loaded in between, or live from the start: the values are in the layout now.
    if (!rule.targets.some((t) => t.parameter.materialized)) return;
    if (own.length > 0) {
      const values = rule.bound.reverse().run(rule.targets.map((t) => t.parameter));
      values.forEach((value, i) => {
        const { parameter } = rule.sources[i];
        if (parameter.materialized) value.dispose();
        else parameter.assign(keep(value));
      });
    }
    unload(rule.targets);
  };
}

function unload(parameters: readonly KeyedParameter[]): void {
  for (const { parameter } of parameters) parameter.unload();
}

/** The modules' part of a swap; both ways as often as one likes. */
function swapOf(site: PlannedSite): { putIn(): void; takeOut(): void } {
  const { nodes, kernel, layout, path } = site;
  const self = layout ?? nodes[0].module;
  let forward = boundForward(kernel, self, path, site.tuning);
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
