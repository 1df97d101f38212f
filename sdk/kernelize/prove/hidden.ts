/** Modules that a tree does not have, though the model runs them: in arrays, maps, private fields. */
import { KernelwrightError } from "../../errors.ts";
import { layerName, Module } from "../../nn/mod.ts";
import type { FusePart, KernelConfig } from "../config/config.ts";
import { traceModel } from "./trace.ts";
import type { TreeIndex } from "../match/tree.ts";

/** Runs `match` of a config, or of some names; where a name matches nothing, the error says which modules of that name are out of sight. */
export function hintingAtHidden<T>(
  tree: TreeIndex,
  config: KernelConfig | readonly string[],
  inputs: () => readonly (readonly unknown[])[],
  match: () => T,
): T {
  try {
    return match();
  } catch (error) {
    if (!(error instanceof KernelwrightError) || !HINTED.has(error.code)) throw error;
    const names = new Set("kernels" in config ? config.kernels.flatMap(namesOf) : config);
    const found = [...hiddenModules(tree.nodes[0].module, tree, inputs())].filter(([m]) =>
      names.has(layerName(m) ?? "")
    );
    if (found.length === 0) throw error;
    const { notes = [], ...rest } = error.diagnostic;
    const shown = found.slice(0, 4).map(([m, place]) => `There is a ${layerName(m)} ${place}.`);
    if (found.length > 4) shown.push(`And ${found.length - 4} more.`);
    throw new KernelwrightError({
      ...rest,
      notes: [...notes, ...shown],
      fix:
        "Modules are found as properties of modules: hold several in a ModuleList, and none in a private field.",
    }, error.cause);
  }
}

// ---------------------------------------------------------------------------

const HINTED = new Set<string>(["KW-MATCH-NAME", "KW-MATCH-NONE", "KW-MATCH-PART", "KW-MATCH-PARENTS"]);

function namesOf(entry: KernelConfig["kernels"][number]): string[] {
  const parts: readonly FusePart[] = "replace" in entry
    ? [entry.replace]
    : "disable" in entry
    ? [entry.disable]
    : "fuse" in entry
    ? entry.fuse
    : entry.fuseParallel;
  return parts.map((p) => typeof p === "string" ? p : p[0]);
}

/** Modules out of sight, each with its place in words. */
function hiddenModules(
  root: Module,
  tree: TreeIndex,
  inputs: readonly (readonly unknown[])[],
): Map<Module, string> {
  const found = new Map<Module, string>();
  const put = (module: Module, place: string) => {
    for (const [, m] of module.namedModules()) {
      if (!tree.byModule.has(m) && !found.has(m)) found.set(m, place);
    }
  };
  const seen = new Set<object>();
  const look = (value: unknown, path: string, kind: string, depth: number): void => {
    if (typeof value !== "object" || value === null || seen.has(value) || ArrayBuffer.isView(value)) return;
    if (value instanceof Module) {
      put(value, `in ${kind}, at "${path}"`);
      for (const [key, m] of Object.entries(value)) look(m, `${path}.${key}`, kind, depth);
      return;
    }
    seen.add(value);
    if (depth === 0) return;
    const below = (key: unknown, held: unknown, what: string) =>
      look(held, `${path}[${String(key)}]`, what, depth - 1);
    if (Array.isArray(value)) value.forEach((held, i) => below(i, held, "an array"));
    else if (value instanceof Map) {
      for (const [key, held] of value) {
        below(typeof key === "object" ? "…" : key, held, "a Map");
        below("key", key, "a Map");
      }
    } else if (value instanceof Set) [...value].forEach((held, i) => below(i, held, "a Set"));
    else if (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null) {
      for (const [key, d] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
        if ("value" in d) look(d.value, `${path}.${key}`, "a plain object", depth - 1);
      }
    }
  };
  for (const { path, module } of tree.nodes) {
    for (const [key, d] of Object.entries(Object.getOwnPropertyDescriptors(module))) {
      if (!("value" in d) || d.value instanceof Module) continue;
      look(d.value, path ? `${path}.${key}` : key, "a property", 4);
    }
  }
  // What is private shows only when it is run.
  for (const given of inputs) {
    try {
      for (const { module, caller } of traceModel(root, tree, given).calls) {
        const by = caller && (tree.byModule.get(caller.module)?.path || caller.module.constructor.name);
        put(module, `in a private field or a closure that "${by ?? "the model"}" runs`);
      }
    } catch {
      // The hint is worth no second error.
    }
  }
  return found;
}
