import { type ConversionRule, WeightRenaming } from "../../authoring/mod.ts";

/** Whether no key has a part of that name, at its start or behind a dot. */
export function without(keys: Iterable<string>, part: string): boolean {
  for (const key of keys) if (key.startsWith(part) || key.includes(`.${part}`)) return false;
  return true;
}

/** The mapping for a checkpoint that was saved from the tower alone: its keys have no prefix. */
export function underPrefix(
  keys: Iterable<string>,
  prefix: string,
  parts: readonly string[],
): ConversionRule[] | undefined {
  const tops = new Set<string>();
  for (const key of keys) {
    if (key.startsWith(`${prefix}.`)) return undefined;
    tops.add(key.slice(0, key.indexOf(".")));
  }
  const found = parts.filter((part) => tops.has(part));
  return found.length > 0
    ? found.map((part) => new WeightRenaming(`${part}.**`, `${prefix}.${part}.**`))
    : undefined;
}
