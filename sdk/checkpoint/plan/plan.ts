/**
 * What goes where, worked out from headers alone.
 *
 *   file keys ──mapping──► keys of the original tree ──sites' conversions──► parameters of the tree as it is
 *        (WeightRenaming, WeightConverter)      └─────────1:1──────────────► (by path)
 *
 * Loading walks this graph forwards, saving walks the same graph backwards, `inspect` only looks at it.
 */
import { checkArgument, checkFields, checkInstance, refuseArgument } from "../../arguments.ts";
import { bindRule, type BoundRule, type ConversionRule } from "../../authoring/mod.ts";
import { inContext, raise } from "../../errors.ts";
import { Module } from "../../nn/mod.ts";
import {
  type DType,
  DTYPES,
  formatSpec,
  type Parameter,
  sameShape,
  type TensorSpec,
} from "../../tensor/mod.ts";
import { codecOf, loadableAs } from "../safetensors/codec.ts";
import { FILE_DTYPES } from "../safetensors/file_dtype.ts";
import { mapKeys } from "./map_keys.ts";
import { as, type CatalogEntry, formatEntry, type KeyedParameter, type Step, type Value } from "./value.ts";

/** One conversion of one swapped site. */
export interface SiteRule {
  /** The conversion; it is bound again to the dtypes of the file. */
  readonly bound: BoundRule;
  /** What it reads: parameters of the original modules, which the tree no longer has. */
  readonly sources: readonly KeyedParameter[];
  /** What it fills. */
  readonly targets: readonly KeyedParameter[];
}

/** What a swapped site does with the keys of its original modules. */
export interface SiteConversion {
  /** The site's path. */
  readonly site: string;
  /** The kernel's name, for messages. */
  readonly kernel?: string;
  /** The conversions. */
  readonly rules: readonly SiteRule[];
  /** Parameters of the original modules that nothing needs. */
  readonly dropped: readonly KeyedParameter[];
}

/** What a plan is made from, besides the model and the file. */
export interface PlanOptions {
  /** What the swapped sites do. */
  readonly conversions?: readonly SiteConversion[];
  /** From the file's keys to the original tree's. */
  readonly mapping?: readonly ConversionRule[];
  /** What floating-point tensors are loaded as; defaults to what the parameters declare. */
  readonly dtype?: "f32" | "f16";
}

/** Where a value ends. */
export interface Sink {
  /** The parameter's path. */
  readonly path: string;
  /** The parameter. */
  readonly parameter: Parameter;
  /** What it gets. */
  readonly value: Value;
}

/** A tensor whose shape or dtype is not the parameter's. */
export interface Mismatch {
  /** The key. */
  readonly key: string;
  /** What the checkpoint has, e.g. `F32 [2, 3]`. */
  readonly checkpoint: string;
  /** What the model wants. */
  readonly model: string;
  /** Whether it is the dtype that does not fit. */
  readonly dtype: boolean;
}

/** The whole way, or why there is none. */
export interface LoadPlan {
  /** The conversions, each after those that it needs. */
  readonly steps: readonly Step[];
  /** What each parameter gets. */
  readonly sinks: readonly Sink[];
  /** A second key for a parameter that has one already: its values must be the same. */
  readonly tied: readonly { readonly value: Value; readonly same: Sink }[];
  /** Keys of the model that the checkpoint lacks, with the parameters' specs and, where it is one in the tree, the parameter. */
  readonly missing: readonly {
    readonly key: string;
    readonly spec: TensorSpec;
    readonly parameter?: Parameter;
  }[];
  /** Values that nobody wants. */
  readonly unexpected: readonly Value[];
  /** Values that a site dropped, with the original's parameter. */
  readonly dropped: readonly {
    readonly value: Value;
    readonly parameter: Parameter;
    readonly site: string;
  }[];
  /** Values that do not fit. */
  readonly mismatched: readonly Mismatch[];
  /** Rules of the mapping that matched nothing. */
  readonly unusedRules: readonly string[];
  /** What floating-point tensors become where no parameter says. */
  readonly dtype: "f32" | "f16";
}

/**
 * Plans a load. Looks at the headers' entries and at the model, and changes nothing.
 *
 * @throws KW-CONVERT-…: conversions that cannot work. What is missing, unexpected or does not fit is in the plan.
 *
 * @example
 * ```ts
 * import { openCheckpoint, planLoad } from "@kernelwright/sdk/checkpoint";
 * import { buildCausalLM, readConfig } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * const model = buildCausalLM(await readConfig("./model"));
 * await using checkpoint = await openCheckpoint("./model");
 * const plan = planLoad(model, checkpoint.tensors.values());
 * assertEquals([plan.missing, plan.mismatched], [[], []]);
 * ```
 */
export function planLoad(
  model: Module,
  entries: Iterable<CatalogEntry>,
  options: PlanOptions = {},
): LoadPlan {
  checkInstance("planLoad(): model", model, Module);
  checkArgument("planLoad(): options", options, "an object");
  if (typeof entries?.[Symbol.iterator] !== "function") {
    refuseArgument("planLoad(): entries", entries, "entries to go through");
  }
  entries = [...entries];
  checkArgument("planLoad(): entries", entries, "objects in an array");
  for (const entry of entries) {
    checkFields("planLoad(): an entry", entry, {
      key: "a string",
      dtype: "a string",
      shape: "numbers in an array",
    });
    if (!Object.hasOwn(FILE_DTYPES, entry.dtype)) {
      refuseArgument("planLoad(): an entry's dtype", entry.dtype, "one of FILE_DTYPES");
    }
  }
  return new Planner(model, entries, options).plan();
}

// ---------------------------------------------------------------------------

class Planner {
  readonly #options: PlanOptions;
  readonly #dtype: "f32" | "f16";
  readonly #values: Map<string, Value>;
  readonly #steps: Step[];
  readonly #unusedRules: string[];
  readonly #paths = new Map<Parameter, string[]>();
  readonly #names = new Map<Parameter, string[]>();
  readonly #sinks: Sink[] = [];
  readonly #used = new Map<string, string>();
  readonly #tied: { value: Value; same: Sink }[] = [];
  readonly #missing: LoadPlan["missing"][number][] = [];
  readonly #dropped: LoadPlan["dropped"][number][] = [];
  readonly #mismatched: Mismatch[] = [];

  constructor(model: Module, entries: Iterable<CatalogEntry>, options: PlanOptions) {
    this.#options = options;
    for (const [path, p] of model.namedParameters()) add(this.#paths, p, path);
    const float = [...this.#paths.keys()].find((p) => p.dtype === "f32" || p.dtype === "f16")?.dtype;
    this.#dtype = options.dtype ?? (float === "f16" ? "f16" : "f32");
    const mapped = mapKeys(entries, options.mapping ?? [], this.#dtype);
    [this.#values, this.#steps, this.#unusedRules] = [mapped.values, mapped.steps, mapped.unused];
    for (const [p, paths] of this.#paths) this.#names.set(p, [...paths]);
    for (const { rules } of options.conversions ?? []) {
      for (const { key, parameter } of rules.flatMap((r) => r.sources)) add(this.#names, parameter, key);
    }
  }

  plan(): LoadPlan {
    const filled = new Set<Parameter>();
    for (const site of this.#options.conversions ?? []) {
      inContext({ site: site.site, kernel: site.kernel }, () => this.#site(site, filled));
    }
    for (const [parameter, paths] of this.#paths) {
      if (!filled.has(parameter)) this.#oneToOne(parameter, paths);
    }
    return {
      steps: this.#steps,
      sinks: this.#sinks,
      tied: this.#tied,
      missing: this.#missing,
      unexpected: [...this.#values].filter(([name]) => !this.#used.has(name))
        .map(([name, v]) => ({ ...v, name })),
      dropped: this.#dropped,
      mismatched: this.#mismatched,
      unusedRules: this.#unusedRules,
      dtype: this.#dtype,
    };
  }

  #site(site: SiteConversion, filled: Set<Parameter>): void {
    for (const rule of site.rules) {
      for (const { parameter } of rule.targets) filled.add(parameter);
      const found = rule.sources.map((s) => this.#claim(s, site));
      const inputs = found.filter((v) => v !== undefined);
      if (inputs.length < found.length) continue; // missing; noted
      this.#siteRule(site, rule, inputs);
    }
    for (const source of site.dropped) {
      const value = this.#values.get(source.key);
      if (!value) continue;
      this.#use(source.key, site);
      this.#dropped.push({ value, parameter: source.parameter, site: site.site });
    }
  }

  #siteRule(site: SiteConversion, rule: SiteRule, found: readonly Value[]): void {
    const { rule: conversion } = rule.bound;
    if (conversion.ops.length === 0) {
      rule.targets.forEach(({ key, parameter }, i) => this.#sink(key, parameter, found[i]));
      return;
    }
    const wrong = found.findIndex((v, i) => !sameShape(v.spec.shape, rule.sources[i].parameter.shape));
    if (wrong >= 0) {
      this.#mismatch(rule.sources[wrong].key, found[wrong], rule.sources[wrong].parameter, false);
      return;
    }
    const { bound, inputs } = this.#bind(rule, found);
    const outputs = bound.outputs.map((spec, i): Value => ({ name: rule.targets[i].key, spec }));
    this.#steps.push({ bound, inputs, outputs, site: site.site, sources: rule.sources });
    rule.targets.forEach(({ key, parameter }, i) => this.#sink(key, parameter, outputs[i]));
  }

  /** Binds a rule to what its sources are loaded as. Where the targets have values, it must give their dtypes. */
  #bind(rule: SiteRule, found: readonly Value[]): { bound: BoundRule; inputs: Value[] } {
    const dtypes: DType[] = [this.#dtype, ...rule.targets.map((t) => t.parameter.dtype), "f32", "f16"];
    let first: { bound: BoundRule; inputs: Value[] } | undefined;
    for (const dtype of dtypes) {
      const inputs = found.map((v) => v.entry && FILE_DTYPES[v.entry.dtype].float ? as(v, dtype) : v);
      inputs.forEach((v) => this.#checkLoadable(v));
      const bound = bindRule(rule.bound.rule, inputs.map((v) => v.spec));
      first ??= { bound, inputs };
      const fits = rule.targets.every(({ parameter: p }, i) =>
        !p.materialized || p.dtype === bound.outputs[i].dtype
      );
      if (fits) return { bound, inputs };
    }
    return first!;
  }

  #oneToOne(parameter: Parameter, paths: readonly string[]): void {
    const names = (this.#names.get(parameter) ?? paths).filter((n) => this.#values.has(n));
    if (names.length === 0) {
      this.#missing.push({ key: paths[0], spec: parameter, parameter });
      return;
    }
    const sink = this.#sink(paths[0], parameter, this.#values.get(names[0])!);
    for (const name of names) {
      if (this.#used.has(name)) continue; // the sites' own; or the first
      this.#used.set(name, paths[0]);
      const value = this.#values.get(name)!;
      if (sink && name !== names[0]) this.#tied.push({ value: as(value, sink.value.spec.dtype), same: sink });
    }
  }

  #sink(path: string, parameter: Parameter, value: Value): Sink | undefined {
    const wanted = value.entry ? as(value, this.#dtypeFor(value.entry, parameter)) : value;
    if (!sameShape(wanted.spec.shape, parameter.shape)) {
      this.#mismatch(value.name, value, parameter, false);
      return undefined;
    }
    if (wanted.entry && !codecOf(wanted.entry.dtype, wanted.spec.dtype)) {
      this.#mismatch(value.name, value, parameter, true);
      return undefined;
    }
    const sink = { path, parameter, value: wanted };
    this.#sinks.push(sink);
    return sink;
  }

  #dtypeFor(entry: CatalogEntry, parameter: Parameter): DType {
    const own = parameter.dtype === "bf16" ? "f32" : parameter.dtype;
    if (!FILE_DTYPES[entry.dtype].float || !DTYPES[own].float) return own;
    return parameter.materialized ? own : this.#options.dtype ?? own;
  }

  /** The value under a source's key, or under another name of the same parameter; notes it as missing where there is none. */
  #claim(source: KeyedParameter, site: SiteConversion): Value | undefined {
    const own = this.#values.get(source.key);
    if (own) {
      this.#use(source.key, site);
      return own;
    }
    const other = this.#names.get(source.parameter)?.find((n) => this.#values.has(n));
    if (other !== undefined) return this.#values.get(other);
    this.#missing.push({ key: source.key, spec: source.parameter });
    return undefined;
  }

  #use(name: string, site: SiteConversion): void {
    const by = site.kernel ? `${site.kernel} at ${JSON.stringify(site.site)}` : JSON.stringify(site.site);
    const before = this.#used.get(name);
    if (before !== undefined) {
      raise(
        "KW-CONVERT-CLAIMED",
        `Two conversions claim the same tensor: ${before} and ${by}`,
        "Let one of the sites keep its original.",
        { key: name },
      );
    }
    this.#used.set(name, by);
  }

  #checkLoadable(v: Value): void {
    if (!v.entry || codecOf(v.entry.dtype, v.spec.dtype)) return;
    raise(
      "KW-CHECKPOINT-DTYPE",
      `Cannot load ${formatEntry(v.entry)} as ${v.spec.dtype}`,
      `It can be loaded as ${loadableAs(v.entry.dtype).join(" or ") || "nothing that WebGPU has"}.`,
      { key: v.name },
    );
  }

  #mismatch(key: string, value: Value, parameter: Parameter, dtype: boolean): void {
    const checkpoint = value.entry ? formatEntry(value.entry) : formatSpec(value.spec);
    this.#mismatched.push({ key, checkpoint, model: formatSpec(parameter), dtype });
  }
}

function add<K>(map: Map<K, string[]>, key: K, name: string): void {
  const list = map.get(key);
  if (!list) map.set(key, [name]);
  else if (!list.includes(name)) list.push(name);
}
