/**
 * From entries to sites: which modules each entry means, and which entry wins where several mean the same.
 *
 * A path takes precedence over a name, a later entry over an earlier one; what loses is kept, so that the report can say it.
 */
import { closest, didYouMean, inContext, raise } from "../../errors.ts";
import type {
  DisableEntry,
  FuseEntry,
  FuseParallelEntry,
  FusePart,
  KernelConfig,
  KernelEntry,
  ReplaceEntry,
} from "../config/config.ts";
import { compilePattern, describePattern, type PathPattern } from "../config/pattern.ts";
import type { Node, TreeIndex } from "./tree.ts";

/** What an entry does at a site. */
export type MatchKind = "replaces" | "fuses" | "fusesParallel" | "disables";

/** One place that an entry means. */
export interface MatchedSite {
  /** What the entry does there. */
  readonly kind: MatchKind;
  /** The modules: one, or the parts of a fusion in the entry's order. */
  readonly nodes: readonly Node[];
  /** The entry. */
  readonly entry: KernelEntry;
  /** Its index in the config. */
  readonly index: number;
  /** Whether the entry names a path. */
  readonly byPath: boolean;
}

/** A site that lost to another. */
export interface ShadowedSite {
  /** The site that lost. */
  readonly site: MatchedSite;
  /** The site that won. */
  readonly by: MatchedSite;
}

/** The sites of a config in a tree. */
export interface Matches {
  /** Sites that stand, in tree order. */
  readonly sites: readonly MatchedSite[];
  /** Sites that lost. */
  readonly shadowed: readonly ShadowedSite[];
}

/**
 * Matches a config against a tree.
 *
 * @throws KW-MATCH-NAME, KW-MATCH-NONE, KW-MATCH-PART, KW-MATCH-PARENTS, KW-MATCH-AMBIGUOUS, KW-MATCH-SHARED,
 * KW-MATCH-OVERLAP, KW-MATCH-NESTED.
 */
export function matchConfig(tree: TreeIndex, config: KernelConfig): Matches {
  const claims = new Map<Node, MatchedSite>();
  const shadowed: ShadowedSite[] = [];
  config.kernels.forEach((entry, index) => {
    const sites = inContext({ json: `kernels[${index}]` }, () => matchEntry(tree, entry, index));
    if (sites.length === 0) raiseNoMatch(tree, entry, index);
    for (const site of sites) claim(site, claims, shadowed);
  });
  const standing = new Set(claims.values());
  shadowNested(claims, standing, shadowed);
  const order = new Map(tree.nodes.map((n, i) => [n, i]));
  const sites = [...standing].sort((a, b) => order.get(a.nodes[0])! - order.get(b.nodes[0])!);
  return { sites, shadowed };
}

/** `kernels[2] (fuse RMSNorm, LlamaMLP)`, as messages name an entry. */
export function describeEntry(entry: KernelEntry, index: number): string {
  const [verb, what] = "replace" in entry
    ? ["replace", entry.replace]
    : "disable" in entry
    ? ["disable", entry.disable]
    : "fuse" in entry
    ? ["fuse", entry.fuse.map(partName).join(", ")]
    : ["fuseParallel", entry.fuseParallel.map(partName).join(", ")];
  return `kernels[${index}] (${verb} ${what})`;
}

// ---------------------------------------------------------------------------

function matchEntry(tree: TreeIndex, entry: KernelEntry, index: number): MatchedSite[] {
  if ("replace" in entry) return matchNamed(tree, entry, entry.replace, "replaces", index);
  if ("disable" in entry) return matchNamed(tree, entry, entry.disable, "disables", index);
  return "fuse" in entry
    ? matchFusion(tree, entry, entry.fuse, "fuses", index)
    : matchFusion(tree, entry, entry.fuseParallel, "fusesParallel", index);
}

function matchNamed(
  tree: TreeIndex,
  entry: ReplaceEntry | DisableEntry,
  name: string,
  kind: MatchKind,
  index: number,
): MatchedSite[] {
  const patterns = entry.at === undefined ? undefined : asList(entry.at).map(compilePattern);
  return (tree.byName.get(name) ?? [])
    .filter((n) => !patterns || patterns.some((match) => match(n.path)))
    .map((n) => ({ kind, nodes: [n], entry, index, byPath: patterns !== undefined }));
}

function matchFusion(
  tree: TreeIndex,
  entry: FuseEntry | FuseParallelEntry,
  parts: readonly FusePart[],
  kind: MatchKind,
  index: number,
): MatchedSite[] {
  const found = parts.map((part) => {
    const pattern = partPattern(part);
    const match = pattern === undefined ? () => true : compilePattern(pattern);
    return (tree.byName.get(partName(part)) ?? []).filter((n) => n.parent && match(n.path));
  });
  if (found.some((nodes) => nodes.length === 0)) return [];
  const byParent = found.map((nodes) => Map.groupBy(nodes, (n) => n.parent!));
  // A part that stands under other parents than the rest is a mistake of the pattern, a part that is missing under
  // one of them a mistake about the model.
  for (let i = 1; i < parts.length; i++) {
    if (byParent[0].keys().some((p) => byParent[i].has(p))) continue;
    const [a, b] = [found[0][0], found[i][0]];
    raise(
      "KW-MATCH-PARENTS",
      `Cannot fuse ${partName(parts[0])} and ${
        partName(parts[i])
      }: "${a.path}" and "${b.path}" have different parents`,
      "The parts of a fusion are siblings: properties of one module.",
      { site: a.path, json: `kernels[${index}]` },
    );
  }
  const byPath = parts.some((p) => partPattern(p) !== undefined);
  // Names alone mean wherever all of them stand together; a path means each place that it matches.
  const together = byPath
    ? [...new Set(byParent.flatMap((map, i) => partPattern(parts[i]) === undefined ? [] : [...map.keys()]))]
    : [...byParent[0].keys()].filter((p) => byParent.every((map) => map.has(p)));
  return together.map((parent) => ({
    kind,
    nodes: parts.map((part, i) => onePart(byParent[i].get(parent) ?? [], part, parent, index)),
    entry,
    index,
    byPath,
  }));
}

function onePart(nodes: readonly Node[], part: FusePart, parent: Node, index: number): Node {
  const where = { site: parent.path, json: `kernels[${index}]` };
  if (nodes.length === 0) {
    raise(
      "KW-MATCH-PART",
      `Cannot fuse under "${parent.path}": no ${partName(part)} there matches ${
        describePattern(partPattern(part) ?? "*")
      }`,
      `Its children are: ${
        [...parent.module.children()].map(([n, m]) => `${n} (${m.constructor.name})`).join(", ")
      }. Narrow the other parts' patterns to the layers that have every part.`,
      where,
    );
  }
  if (nodes.length > 1) {
    raise(
      "KW-MATCH-AMBIGUOUS",
      `Cannot fuse under "${parent.path}": ${nodes.length} modules are ${partName(part)}: ${
        nodes.map((n) => n.key).join(", ")
      }`,
      "Give a path pattern for that part.",
      where,
    );
  }
  return nodes[0];
}

function claim(site: MatchedSite, claims: Map<Node, MatchedSite>, shadowed: ShadowedSite[]): void {
  for (const n of site.nodes) {
    if (n.aliases.length > 0) {
      raise(
        "KW-MATCH-SHARED",
        `"${n.path}" is the same module as "${n.aliases[0]}"`,
        "A shared module cannot be swapped at one place; build one for each.",
        {
          site: n.path,
        },
      );
    }
  }
  const rivals = new Set(site.nodes.map((n) => claims.get(n)).filter((s) => s !== undefined));
  for (const rival of rivals) {
    const alike = rival.nodes.length === site.nodes.length &&
      rival.nodes.every((n) => site.nodes.includes(n));
    if (!alike && rival.byPath && site.byPath && rival.kind !== "disables" && site.kind !== "disables") {
      const shared = site.nodes.find((n) => claims.get(n) === rival)!;
      raise(
        "KW-MATCH-OVERLAP",
        `${describeEntry(rival.entry, rival.index)} and ${
          describeEntry(site.entry, site.index)
        } both claim "${shared.path}"`,
        "Narrow one of the paths.",
        { site: shared.path },
      );
    }
  }
  const loses = [...rivals].find((r) => r.byPath && !site.byPath);
  if (loses) return void shadowed.push({ site, by: loses });
  for (const rival of rivals) {
    shadowed.push({ site: rival, by: site });
    for (const n of rival.nodes) claims.delete(n);
  }
  for (const n of site.nodes) claims.set(n, site);
}

/** A kernel inside the site of another would never run. */
function shadowNested(
  claims: Map<Node, MatchedSite>,
  standing: Set<MatchedSite>,
  shadowed: ShadowedSite[],
): void {
  for (const inner of [...standing]) {
    for (let up = inner.nodes[0].parent; up; up = up.parent) {
      const outer = claims.get(up);
      if (!outer || outer.kind === "disables") continue;
      if (inner.byPath && inner.kind !== "disables") {
        raise(
          "KW-MATCH-NESTED",
          `${describeEntry(inner.entry, inner.index)} at "${inner.nodes[0].path}" is inside the site of ${
            describeEntry(outer.entry, outer.index)
          } at "${up.path}"`,
          "A kernel stands for all that is below it: keep one of the two.",
          { site: inner.nodes[0].path },
        );
      }
      standing.delete(inner);
      shadowed.push({ site: inner, by: outer });
      break;
    }
  }
}

function raiseNoMatch(tree: TreeIndex, entry: KernelEntry, index: number): never {
  const where = { json: `kernels[${index}]` };
  const parts: readonly FusePart[] = "replace" in entry
    ? [entry.replace]
    : "disable" in entry
    ? [entry.disable]
    : "fuse" in entry
    ? entry.fuse
    : entry.fuseParallel;
  for (const part of parts) {
    const name = partName(part);
    if (!tree.byName.has(name)) {
      raise(
        "KW-MATCH-NAME",
        `${describeEntry(entry, index)} matches nothing: the model has no layer "${name}"`,
        didYouMean(name, tree.byName.keys()),
        where,
      );
    }
  }
  // The part that found nothing is the one to show.
  const patternsOf = (part: FusePart): readonly PathPattern[] => {
    if ("at" in entry && entry.at !== undefined) return asList(entry.at);
    const pattern = partPattern(part);
    return pattern === undefined ? [] : [pattern];
  };
  const found = (part: FusePart) =>
    tree.byName.get(partName(part))!.some((n) =>
      patternsOf(part).length === 0 || patternsOf(part).some((p) => compilePattern(p)(n.path))
    );
  const part = parts.find((p) => !found(p)) ?? parts[0];
  const paths = tree.byName.get(partName(part))!.map((n) => n.path);
  const given = patternsOf(part).find((p) => typeof p === "string");
  const near = given && closest(given, [...new Set(paths.map((p) => p.replaceAll(/\.\d+(?=\.|$)/g, ".*")))]);
  raise(
    "KW-MATCH-NONE",
    `${describeEntry(entry, index)} matches no ${partName(part)} at ${
      patternsOf(part).map(describePattern).join(", ") || "any path"
    }`,
    `${near ? `Did you mean ${JSON.stringify(near)}? ` : ""}There is ${partName(part)} at ${
      paths.slice(0, 4).map((p) => JSON.stringify(p)).join(", ")
    }${paths.length > 4 ? ", …" : ""}.`,
    where,
  );
}

function partName(part: FusePart): string {
  return typeof part === "string" ? part : part[0];
}

function partPattern(part: FusePart): PathPattern | undefined {
  return typeof part === "string" ? undefined : part[1];
}

function asList<T>(value: T | readonly T[]): readonly T[] {
  return Array.isArray(value) ? value : [value as T];
}
