import { bindRule, type ConversionRule } from "../../sdk/authoring/mod.ts";
import type { SiteConversion } from "../../sdk/checkpoint/mod.ts";
import { Parameter } from "../../sdk/tensor/mod.ts";
import { parameterAt, put, take, type Tree } from "./tree.ts";

/**
 * Swaps a site as kernelize does: the originals leave the tree, and a layout's parameters come in.
 *
 * @param rules Sources are keys of the tree, targets are names in the layout.
 * @param drops Keys that leave the tree and are not needed.
 */
export function swapSite(
  model: Tree,
  site: string,
  rules: readonly ConversionRule[],
  drops: readonly string[] = [],
): SiteConversion {
  const keyed = (key: string) => ({ key, parameter: parameterAt(model, key) });
  const planned = rules.map((rule) => {
    const sources = rule.from.map(keyed);
    const bound = bindRule(rule, sources.map((s) => s.parameter));
    const targets = rule.to.map((name, i) => ({
      key: `${site}.${name}`,
      parameter: new Parameter(bound.outputs[i].shape, bound.outputs[i].dtype),
    }));
    return { bound, sources, targets };
  });
  const dropped = drops.map(keyed);
  for (const { key } of [...planned.flatMap((r) => r.sources), ...dropped]) take(model, key);
  for (const { key, parameter } of planned.flatMap((r) => r.targets)) put(model, key, parameter);
  return { site, kernel: "Kernel", rules: planned, dropped };
}
