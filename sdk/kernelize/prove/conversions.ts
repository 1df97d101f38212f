/**
 * The road from the original's parameters to a layout's, checked on meta: every parameter of the layout is produced
 * exactly once, every source is read or named in `drops`, and all shapes fit.
 */
import {
  bindRule,
  type BoundRule,
  type ConversionRule,
  describeRule,
  expandRule,
  type Layout,
  type LayoutDefinition,
  nameTargets,
  rename,
} from "../../authoring/mod.ts";
import type { KeyedParameter } from "../../checkpoint/mod.ts";
import { didYouMean, KernelwrightError, raise } from "../../errors.ts";
import { joinPath } from "../../nn/mod.ts";
import { formatSpec, type Parameter, sameShape } from "../../tensor/mod.ts";
import type { Node } from "../match/tree.ts";

/** One conversion of one site. */
export interface PlannedRule {
  /** The conversion, fixed to its shapes. */
  readonly bound: BoundRule;
  /** What it reads, in order. */
  readonly sources: readonly KeyedParameter[];
  /** What it fills, in order. */
  readonly targets: readonly KeyedParameter[];
}

/** All conversions of one site. */
export interface SitePlanConversions {
  /** The conversions. */
  readonly rules: readonly PlannedRule[];
  /** Sources that nothing reads. */
  readonly dropped: readonly KeyedParameter[];
  /** Whether the originals can be had back from the layout. */
  readonly reversible: boolean;
}

/**
 * Plans a site's conversions.
 *
 * @throws KW-CONVERT-SOURCE, KW-CONVERT-TWICE, KW-CONVERT-UNFILLED, KW-CONVERT-UNREAD, KW-CONVERT-SHAPE,
 * KW-CONVERT-NO-REVERSE, KW-LAYOUT-SHARES, KW-LAYOUT-CONSTRUCT (conversions that are a function, and fail).
 */
export function planConversions(
  definition: LayoutDefinition,
  layout: Layout,
  nodes: readonly Node[],
): SitePlanConversions {
  const sources = sourcesOf(definition, nodes);
  const targets = new Map(layout.namedParameters());
  const shared = [...targets].find(([, p]) => [...sources.values()].some((s) => s.parameter === p));
  if (shared) {
    raise(
      "KW-LAYOUT-SHARES",
      `The layout's "${shared[0]}" is the original's own parameter`,
      "Build the layout's parameters again, with parameter([…]).",
    );
  }
  const filled = new Set<string>();
  const read = new Set<string>();
  const rules = expanded(rulesFor(definition, nodes), sources, targets).map((rule): PlannedRule => {
    const from = rule.from.map((name) => {
      if (read.has(name)) {
        raise("KW-CONVERT-TWICE", `Two conversions read "${name}"`, "Read each source once.");
      }
      read.add(name);
      return sources.get(name) ?? raise(
        "KW-CONVERT-SOURCE",
        `The conversion ${describeRule(rule)} reads "${name}", and the site has no such parameter`,
        didYouMean(name, sources.keys()),
      );
    });
    const bound = bindRule(rule, from.map((s) => s.parameter));
    const to = nameTargets(rule, bound.outputs.length).map((name, i) => {
      const parameter = targets.get(name) ?? raise(
        "KW-CONVERT-UNFILLED",
        `The conversion ${describeRule(rule)} fills "${name}", and the layout has no such parameter`,
        didYouMean(name, targets.keys()),
      );
      if (filled.has(name)) {
        raise(
          "KW-CONVERT-TWICE",
          `Two conversions produce "${name}"`,
          "Produce each parameter exactly once.",
        );
      }
      filled.add(name);
      if (!sameShape(bound.outputs[i].shape, parameter.shape)) {
        raise(
          "KW-CONVERT-SHAPE",
          `The conversion ${describeRule(rule)} gives ${
            formatSpec(bound.outputs[i])
          }, and the layout's "${name}" is ${formatSpec(parameter)}`,
          `Its sources are ${from.map((s) => formatSpec(s.parameter)).join(", ")}.`,
        );
      }
      parameter.name ??= joinPath(nodes[0].path, name); // as errors call it
      if (parameter.dtype !== bound.outputs[i].dtype) parameter.unload(bound.outputs[i].dtype);
      return { key: joinPath(nodes[0].path, name), parameter };
    });
    return { bound, sources: from, targets: to };
  });
  for (const name of targets.keys()) {
    if (!filled.has(name)) {
      raise(
        "KW-CONVERT-UNFILLED",
        `No conversion fills the layout's "${name}"`,
        `Sources of the site: ${[...sources.keys()].join(", ") || "none"}.`,
      );
    }
  }
  for (const name of sources.keys()) {
    if (!read.has(name) && !definition.drops.includes(name)) {
      raise(
        "KW-CONVERT-UNREAD",
        `No conversion reads "${name}"`,
        `Convert it, or name it in drops: ["${name}"].`,
      );
    }
  }
  const dropped = definition.drops.map((name) =>
    sources.get(name) ??
      raise(
        "KW-CONVERT-SOURCE",
        `drops names "${name}", and the site has no such parameter`,
        didYouMean(name, sources.keys()),
      )
  );
  return {
    rules,
    dropped,
    reversible: dropped.length === 0 && rules.every((r) => !r.bound.rule.loadOnly),
  };
}

// ---------------------------------------------------------------------------

/** The site's parameters by the names that conversions use. */
function sourcesOf(definition: LayoutDefinition, nodes: readonly Node[]): Map<string, KeyedParameter> {
  const sources = new Map<string, KeyedParameter>();
  nodes.forEach((node, i) => {
    const part = definition.site.parts[i].name;
    for (const [name, parameter] of node.module.namedParameters()) {
      sources.set(joinPath(part, name), { key: joinPath(node.path, name), parameter });
    }
  });
  return sources;
}

function rulesFor(
  definition: LayoutDefinition,
  nodes: readonly Node[],
): readonly ConversionRule[] | undefined {
  const { conversions } = definition;
  if (typeof conversions !== "function") return conversions;
  try {
    return conversions(...nodes.map((n) => n.module));
  } catch (cause) {
    if (cause instanceof KernelwrightError) throw cause;
    raise(
      "KW-LAYOUT-CONSTRUCT",
      `The conversions of ${definition.name} failed: ${String(cause)}`,
      "The function gets the modules at the site, and returns conversions for them.",
      undefined,
      cause,
    );
  }
}

function expanded(
  conversions: readonly ConversionRule[] | undefined,
  sources: ReadonlyMap<string, KeyedParameter>,
  targets: ReadonlyMap<string, Parameter>,
): ConversionRule[] {
  if (conversions === undefined) return [...targets.keys()].map((name) => rename(name, name));
  return conversions.flatMap((rule) => {
    if (![...rule.from, ...rule.to].some((n) => n.includes("*"))) return [rule];
    const rules = expandRule(rule, sources.keys());
    if (rules.length === 0) {
      raise(
        "KW-CONVERT-SOURCE",
        `The conversion ${describeRule(rule)} matches no parameter of the site`,
        `Sources: ${[...sources.keys()].slice(0, 6).join(", ")}.`,
      );
    }
    return rules;
  });
}
