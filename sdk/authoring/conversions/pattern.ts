/**
 * Patterns over the keys of a whole model.
 *
 *   model.layers.*.moe.experts.*.w1.weight  →  model.layers.*.moe.w1
 *                ╰ both have it: one conversion for each layer
 *                              ╰ only the source has it: a list, sorted as numbers
 */
import { leastOf } from "../../extremes.ts";
import { checkArgument } from "../../arguments.ts";
import { raise } from "../../errors.ts";
import type { ConversionOp } from "./op.ts";
import { checkRule, type ConversionRule, convert, type ConvertOptions, describeRule } from "./rule.ts";

/**
 * Gives keys of a whole model other names. `*` is one segment of a path, `**` one or more.
 *
 * @example
 * ```ts
 * import { WeightRenaming } from "@kernelwright/sdk/checkpoint";
 * import { describeRule } from "@kernelwright/sdk/inspect";
 * import { assertEquals } from "@std/assert";
 *
 * const rule = new WeightRenaming("transformer.h.*.**", "model.layers.*.**");
 * assertEquals(describeRule(rule), "transformer.h.*.** → model.layers.*.**");
 * ```
 */
export class WeightRenaming implements ConversionRule {
  /** The pattern of the keys in the file. */
  readonly from: readonly string[];
  /** The pattern of the keys in the model. */
  readonly to: readonly string[];
  /** None. */
  readonly ops: readonly ConversionOp[] = [];

  /**
   * Checks the patterns.
   *
   * @param from The pattern of the keys in the file.
   * @param to The pattern of the keys in the model, with the same wildcards in the same order.
   * @throws KW-CONVERT-PATTERN
   */
  constructor(from: string, to: string) {
    checkArgument("new WeightRenaming(): from", from, "a string");
    checkArgument("new WeightRenaming(): to", to, "a string");
    [this.from, this.to] = [[from], [to]];
    checkPatterns(this);
    if (countWildcards(from) !== countWildcards(to)) {
      raise(
        "KW-CONVERT-PATTERN",
        `Cannot rename ${JSON.stringify(from)} to ${JSON.stringify(to)}: they have not the same wildcards`,
        "Give both the same number of wildcards; they stand for the same segments, in order.",
      );
    }
  }
}

/**
 * Converts tensors of a whole model. `*` is one segment of a path.
 *
 * @example
 * ```ts
 * import { stackList } from "@kernelwright/sdk";
 * import { WeightConverter } from "@kernelwright/sdk/checkpoint";
 * import { describeRule } from "@kernelwright/sdk/inspect";
 * import { assertEquals } from "@std/assert";
 *
 * const rule = new WeightConverter("layers.*.experts.*.w1.weight", "layers.*.experts.w1", [stackList(0)]);
 * assertEquals(describeRule(rule), "layers.*.experts.*.w1.weight → layers.*.experts.w1: stackList");
 * ```
 */
export class WeightConverter implements ConversionRule {
  /** The patterns of the keys in the file. */
  readonly from: readonly string[];
  /** The patterns of the keys in the model. */
  readonly to: readonly string[];
  /** What is done, in order. */
  readonly ops: readonly ConversionOp[];
  /** Whether the author gave up saving. */
  readonly loadOnly?: boolean;

  /**
   * Checks the patterns.
   *
   * @param from The patterns of the keys in the file. Wildcards that the targets lack make a list.
   * @param to The patterns of the keys in the model.
   * @param ops What is done, in order.
   * @throws KW-CONVERT-PATTERN
   */
  constructor(
    from: string | readonly string[],
    to: string | readonly string[],
    ops: readonly ConversionOp[],
    options: ConvertOptions = {},
  ) {
    const rule = convert(from, to, ops, options);
    [this.from, this.to, this.ops, this.loadOnly] = [rule.from, rule.to, rule.ops, rule.loadOnly];
    checkPatterns(this);
  }
}

/** What the wildcards of a pattern stand for in a key, or undefined where it does not match. */
export function matchPattern(pattern: string, key: string): string[] | undefined {
  checkArgument("matchPattern(): pattern", pattern, "a string");
  checkArgument("matchPattern(): key", key, "a string");
  return compile(pattern).exec(key)?.slice(1);
}

/**
 * Writes a rule out for the keys that there are: one rule for each value of the wildcards that sources and
 * targets share, with the lists in `from` written out. A target that is a list (`unstackList`) keeps its
 * wildcard: {@linkcode nameTargets} fills it when the number of tensors is known.
 *
 * @returns Nothing where no source matches.
 * @throws KW-CONVERT-SOURCE when some sources of a group are there and others are not, or a numbered list has gaps.
 */
export function expandRule(rule: ConversionRule, keys: Iterable<string>): ConversionRule[] {
  checkRule("expandRule(): rule", rule);
  checkArgument("expandRule(): keys", keys, "things to go through");
  const shared = leastOf([...rule.from, ...rule.to].map(countWildcards));
  const groups = new Map<string, { captures: string[]; lists: { key: string; rest: string[] }[][] }>();
  for (const key of keys) {
    for (const [i, pattern] of rule.from.entries()) {
      const found = matchPattern(pattern, key);
      if (!found) continue;
      const captures = found.slice(0, shared);
      const id = JSON.stringify(captures);
      let group = groups.get(id);
      if (!group) groups.set(id, group = { captures, lists: rule.from.map(() => []) });
      group.lists[i].push({ key, rest: found.slice(shared) });
    }
  }
  return [...groups.values()].map(({ captures, lists }) => ({
    from: lists.flatMap((list, i) => sortedList(rule, fill(rule.from[i], captures), list)),
    to: rule.to.map((pattern) => fill(pattern, captures)),
    ops: rule.ops,
    ...(rule.loadOnly ? { loadOnly: true } : {}),
  }));
}

/** The names of a rule's targets, with lists written out: `experts.*.w1` of 2 tensors is `experts.0.w1`, `experts.1.w1`. */
export function nameTargets(rule: ConversionRule, count: number): string[] {
  checkRule("nameTargets(): rule", rule);
  checkArgument("nameTargets(): count", count, "a count");
  if (!rule.to.some((n) => n.includes("*"))) return [...rule.to];
  const length = count / rule.to.length;
  return rule.to.flatMap((pattern) =>
    Array.from({ length: Math.floor(length) }, (_, i) => fill(pattern, [String(i)]))
  );
}

// ---------------------------------------------------------------------------

const compiled = new Map<string, RegExp>();

function compile(pattern: string): RegExp {
  let regex = compiled.get(pattern);
  if (!regex) {
    const parts = pattern.split(".").map((s) =>
      s === "**" ? "(.+)" : s === "*" ? "([^.]+)" : s.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")
    );
    compiled.set(pattern, regex = new RegExp(`^${parts.join("\\.")}$`));
  }
  return regex;
}

function countWildcards(pattern: string): number {
  return pattern.split(".").filter((s) => s === "*" || s === "**").length;
}

/** Puts captures in place of a pattern's first wildcards. */
function fill(pattern: string, captures: readonly string[]): string {
  let i = 0;
  return pattern.split(".").map((s) => (s === "*" || s === "**") && i < captures.length ? captures[i++] : s)
    .join(".");
}

function sortedList(
  rule: ConversionRule,
  pattern: string,
  list: readonly { key: string; rest: string[] }[],
): string[] {
  const fix = "Check that the file is of this model, and whole.";
  if (list.length === 0) {
    raise(
      "KW-CONVERT-SOURCE",
      `Cannot convert ${describeRule(rule)}: there is no ${JSON.stringify(pattern)}`,
      fix,
    );
  }
  const sorted = list.toSorted((a, b) => compareNumbered(a.rest, b.rest));
  const numbers = sorted.map((e) => e.rest.length === 1 && /^\d+$/.test(e.rest[0]) ? Number(e.rest[0]) : NaN);
  const gap = numbers.findIndex((n, i) => n !== i);
  if (gap >= 0 && numbers.every((n) => !Number.isNaN(n))) {
    raise(
      "KW-CONVERT-SOURCE",
      `Cannot convert ${describeRule(rule)}: there is no ${JSON.stringify(fill(pattern, [String(gap)]))}`,
      fix,
    );
  }
  return sorted.map((e) => e.key);
}

function compareNumbered(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [Number(a[i]), Number(b[i])];
    if (x !== y && !Number.isNaN(x) && !Number.isNaN(y)) return x - y;
    if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
  }
  return 0;
}

function checkPatterns(rule: ConversionRule): void {
  const patterns = [...rule.from, ...rule.to];
  const bad = patterns.find((p) =>
    p.split(".").some((s) => s === "" || (s.includes("*") && s !== "*" && s !== "**")) ||
    p.split(".").filter((s) => s === "**").length > 1
  );
  if (bad !== undefined || rule.from.length === 0 || rule.to.length === 0) {
    raise(
      "KW-CONVERT-PATTERN",
      bad === undefined
        ? "Cannot convert without sources and targets"
        : `Cannot use the pattern ${JSON.stringify(bad)}`,
      "A pattern is segments joined by dots; * is one whole segment, and ** one or more (once in a pattern).",
    );
  }
}
