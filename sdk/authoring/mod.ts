export * from "./conversions/mod.ts";
export * from "./kernel_decorator.ts";
export * from "./layout.ts";
export * from "./layout_decorator.ts";
export * from "./requirements.ts";
export * from "./signature_mismatch.ts";
export {
  type AnySite,
  describeSite,
  type First,
  type ForwardOf,
  fuses,
  type FuseSite,
  fusesParallel,
  type Last,
  type OneNameEach,
  type OnlyOne,
  type ParallelSite,
  type Part,
  type PartClass,
  type PartInstances,
  type PartResults,
  replaces,
  type ReplaceSite,
  sameSite,
  type Site,
  type SiteKind,
  type SitePart,
} from "./site.ts";
export { combinations, type Constants, type Tune, tuned, withTuned } from "./tune.ts";
