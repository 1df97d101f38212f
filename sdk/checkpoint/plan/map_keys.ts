import {
  bindRule,
  type ConversionRule,
  describeRule,
  expandRule,
  matchPattern,
  nameTargets,
} from "../../authoring/mod.ts";
import { raise } from "../../errors.ts";
import type { DType } from "../../tensor/mod.ts";
import { type CatalogEntry, loadedSpec, type Step, type Value } from "./value.ts";

/** What a mapping makes of a file's keys. */
export interface MappedKeys {
  /** Every tensor under its name in the original tree. */
  readonly values: Map<string, Value>;
  /** The conversions among them, in order. */
  readonly steps: Step[];
  /** The rules that matched nothing. */
  readonly unused: string[];
}

/**
 * Sends a file's keys through a mapping, rule by rule: each sees what the ones before it made.
 *
 * @throws KW-CONVERT-CLAIMED when two rules claim one tensor, or two tensors get one name; KW-CONVERT-SOURCE when a
 * rule finds some of its sources only; and what binding the ops says.
 */
export function mapKeys(
  entries: Iterable<CatalogEntry>,
  mapping: readonly ConversionRule[],
  dtype: DType,
): MappedKeys {
  const values = new Map<string, Value>();
  for (const entry of entries) {
    values.set(entry.key, { name: entry.key, spec: loadedSpec(entry, dtype), entry });
  }
  const taken = new Map<string, ConversionRule>();
  const steps: Step[] = [];
  const unused: string[] = [];
  for (const rule of mapping) {
    for (const [key, other] of taken) {
      // A name that a rule before has made again is fair game; what is gone was claimed.
      if (!values.has(key) && rule.from.some((p) => matchPattern(p, key))) claimed(key, other, rule);
    }
    const expanded = expandRule(rule, values.keys());
    if (expanded.length === 0) unused.push(describeRule(rule));
    const sources = new Map<string, Value>();
    for (const key of expanded.flatMap((r) => r.from)) {
      if (sources.has(key)) claimed(key, rule, rule);
      sources.set(key, values.get(key)!);
      taken.set(key, rule);
      values.delete(key);
    }
    for (const one of expanded) {
      const inputs = one.from.map((key) => sources.get(key)!);
      const { names, made } = outputsOf(one, inputs, steps);
      for (const [i, name] of names.entries()) {
        if (values.has(name)) madeTwice(name, rule);
        values.set(name, made[i]);
      }
    }
  }
  return { values, steps, unused };
}

// ---------------------------------------------------------------------------

function outputsOf(
  rule: ConversionRule,
  inputs: readonly Value[],
  steps: Step[],
): { names: readonly string[]; made: Value[] } {
  if (rule.ops.length === 0 && rule.from.length === rule.to.length) {
    // What a step made stays the same object: the step is found by it.
    return { names: rule.to, made: inputs.map((v, i) => v.entry ? { ...v, name: rule.to[i] } : v) };
  }
  const bound = bindRule(rule, inputs.map((v) => v.spec));
  const names = nameTargets(rule, bound.outputs.length);
  const made = bound.outputs.map((spec, i): Value => ({ name: names[i], spec }));
  steps.push({ bound, inputs, outputs: made });
  return { names, made };
}

function claimed(key: string, a: ConversionRule, b: ConversionRule): never {
  raise(
    "KW-CONVERT-CLAIMED",
    a === b
      ? `The conversion ${describeRule(a)} claims the same tensor twice`
      : `Two conversions claim the same tensor: ${describeRule(a)} and ${describeRule(b)}`,
    "Write the patterns so that each key matches one of them.",
    { key },
  );
}

function madeTwice(key: string, rule: ConversionRule): never {
  raise(
    "KW-CONVERT-CLAIMED",
    `The conversion ${describeRule(rule)} makes a tensor that is there already`,
    "Give each tensor a name of its own.",
    { key },
  );
}
