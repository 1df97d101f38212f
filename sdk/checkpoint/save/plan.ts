/**
 * Where each tensor of the file comes from when a model is saved: the load's graph, walked backwards.
 */
import { raise } from "../../errors.ts";
import type { Module } from "../../nn/mod.ts";
import type { Parameter } from "../../tensor/mod.ts";
import { codecOf } from "../safetensors/codec.ts";
import { FILE_DTYPE_OF } from "../safetensors/file_dtype.ts";
import { type Group, groupSteps } from "../plan/groups.ts";
import type { TensorEntry } from "../safetensors/header.ts";
import { type PlannedTensor, usualOrder } from "../safetensors/header_writer.ts";
import type { Origin } from "../origin.ts";
import { type LoadPlan, type Mismatch, planLoad, type SiteConversion } from "../plan/plan.ts";
import type { CatalogEntry, Value } from "../plan/value.ts";

/** What will be saved. */
export interface SavePlan {
  /** Every tensor, in the order of the file. */
  readonly tensors: readonly PlannedTensor[];
  /** Those that are a parameter's own values. */
  readonly direct: ReadonlyMap<string, Parameter>;
  /** Conversions to be reversed. */
  readonly groups: readonly Group[];
  /** What lies beside the model in the origin's files, and is copied. */
  readonly copied: readonly TensorEntry[];
  /** Keys of the origin that are not written. */
  readonly leftOut: readonly string[];
  /** Keys whose values were rounded when they were loaded, so that their bits may differ from the origin's. */
  readonly rounded: readonly string[];
}

/**
 * Plans a save.
 *
 * @throws KW-CONVERT-NO-REVERSE when a conversion has none or a kernel dropped a tensor; KW-CHECKPOINT-WRITE when a
 * parameter has no values.
 */
export function planSave(
  model: Module,
  conversions: readonly SiteConversion[],
  origin: Origin | undefined,
): SavePlan {
  const catalog = origin ? origin.files.flatMap((f) => f.tensors) : catalogOf(model, conversions);
  const plan = planLoad(model, catalog, { conversions, mapping: origin?.mapping, dtype: origin?.dtype });
  for (const m of plan.mismatched) changed(m);
  const direct = new Map<string, Parameter>();
  for (const { value, parameter } of plan.sinks) if (value.entry) direct.set(value.entry.key, parameter);
  for (const { value, same } of plan.tied) direct.set(value.entry!.key, same.parameter);
  for (const { value, parameter, site } of plan.dropped) {
    if (!parameter.materialized) dropped(value, site);
    direct.set(value.entry!.key, parameter);
  }
  const groups = groupSteps(plan).filter((g) => !takeOriginals(g, direct));
  const converted = new Set<string>();
  for (const group of groups) {
    for (const step of group.steps) {
      step.bound.reverse(); // raises where there is none, before anything is written
      for (const v of step.inputs) if (v.entry && !direct.has(v.entry.key)) converted.add(v.entry.key);
    }
  }
  const extra = addExtra(plan, direct, origin);
  for (
    const [key, p] of [
      ...direct,
      ...groups.flatMap((g) => g.sinks.map((s) => [s.path, s.parameter] as const)),
    ]
  ) {
    if (!p.materialized) noValues(key);
  }
  const copied = (origin?.files ?? []).flatMap((f) => f.tensors).filter((e) =>
    origin!.beside.has(e.key) && !direct.has(e.key) && !converted.has(e.key)
  );
  const copies = new Set(copied.map((e) => e.key));
  const isWritten = ({ key }: CatalogEntry) => direct.has(key) || converted.has(key) || copies.has(key);
  const written = catalog.filter(isWritten);
  return {
    tensors: [...written, ...extra].map(({ key, dtype, shape }) => ({ key, dtype, shape })),
    direct,
    groups,
    copied,
    leftOut: catalog.filter((e) => !isWritten(e)).map((e) => e.key),
    rounded: written.filter((e) => isRounded(e, direct, groups)).map((e) => e.key),
  };
}

// ---------------------------------------------------------------------------

/** Without an origin: every parameter under its path in the original tree, tied ones once. */
function catalogOf(model: Module, conversions: readonly SiteConversion[]): CatalogEntry[] {
  const seen = new Set<Parameter>(
    conversions.flatMap((s) => s.rules.flatMap((r) => r.targets.map((t) => t.parameter))),
  );
  const entries: CatalogEntry[] = [];
  const put = (key: string, p: Parameter, dtype = p.dtype) => {
    if (!seen.has(p)) entries.push({ key, dtype: FILE_DTYPE_OF[dtype], shape: p.shape });
    seen.add(p);
  };
  for (const [path, p] of model.namedParameters()) put(path, p);
  for (const { rules, dropped } of conversions) {
    for (const rule of rules) for (const s of rule.sources) put(s.key, s.parameter);
    for (const d of dropped) if (d.parameter.materialized) put(d.key, d.parameter);
  }
  return usualOrder(entries);
}

/** A site that could not be reversed kept its original parameters' values: they are what is saved. */
function takeOriginals(group: Group, direct: Map<string, Parameter>): boolean {
  const kept = group.steps.every((s) => s.sources?.every((p) => p.parameter.materialized));
  if (!kept) return false;
  for (const step of group.steps) {
    step.inputs.forEach((v, i) => {
      if (v.entry && !direct.has(v.entry.key)) direct.set(v.entry.key, step.sources![i].parameter);
    });
  }
  return true;
}

/** Parameters that the origin did not have, such as a new head. */
function addExtra(
  plan: LoadPlan,
  direct: Map<string, Parameter>,
  origin: Origin | undefined,
): CatalogEntry[] {
  const extra: CatalogEntry[] = [];
  for (const { key, parameter } of origin ? plan.missing : []) {
    if (!parameter?.materialized) noValues(key);
    direct.set(key, parameter);
    extra.push({ key, dtype: FILE_DTYPE_OF[parameter.dtype], shape: parameter.shape });
  }
  return extra;
}

function isRounded(
  entry: CatalogEntry,
  direct: ReadonlyMap<string, Parameter>,
  groups: readonly Group[],
): boolean {
  const own = direct.get(entry.key);
  const dtypes = own ? [own.dtype] : groups
    .filter((g) => g.steps.some((s) => s.inputs.some((v) => v.entry?.key === entry.key)))
    .flatMap((g) =>
      g.steps.flatMap((s) => [...s.bound.inputs, ...s.bound.outputs].map((spec) => spec.dtype))
    );
  return dtypes.some((d) => codecOf(entry.dtype, d)?.exact === false);
}

function dropped(value: Value, site: string): never {
  raise(
    "KW-CONVERT-NO-REVERSE",
    "Cannot save the model: a kernel does not need this tensor, and its values were not kept",
    "Save before kernelize(), or load the model first and put kernels in afterwards: then the values are kept.",
    { site, key: value.entry?.key ?? value.name },
  );
}

function changed({ key, checkpoint, model }: Mismatch): never {
  raise(
    "KW-CHECKPOINT-WRITE",
    `Cannot save the model as what it was loaded from: this tensor was ${checkpoint}, and is ${model} now`,
    "Save it as it is, with { origin: false }.",
    { key },
  );
}

function noValues(key: string): never {
  raise(
    "KW-CHECKPOINT-WRITE",
    "Cannot save the model: a parameter has no values",
    "Load all of the model first.",
    { key },
  );
}
