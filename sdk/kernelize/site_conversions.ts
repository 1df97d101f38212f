import type { SiteConversion } from "../checkpoint/mod.ts";
import type { Module } from "../nn/mod.ts";
import { kernelPlan } from "./kernelize.ts";

/**
 * What a model's swapped sites do with the checkpoint's keys: for loading into it, and for saving it again.
 *
 * See the example of {@linkcode explain}.
 */
export function siteConversions(model: Module): SiteConversion[] {
  return (kernelPlan(model)?.sites ?? []).filter((s) => s.layout).map((s) => ({
    site: s.path,
    kernel: s.kernel.name,
    rules: s.conversions.rules,
    dropped: s.conversions.dropped,
  }));
}
