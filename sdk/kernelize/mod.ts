export {
  type ChoiceOptions,
  Device,
  type DeviceMatch,
  disable,
  type DisableEntry,
  fuse,
  type FuseEntry,
  fuseParallel,
  type FuseParallelEntry,
  type FusePart,
  type KernelCandidate,
  type KernelChoice,
  type KernelConfig,
  type KernelEntry,
  type KernelRef,
  type ModeTable,
  parseKernelConfig,
  replace,
  type ReplaceEntry,
} from "./config.ts";
export { mapRefs } from "./choice.ts";
export { explain, explainPlan, type Explanation } from "./explain.ts";
export {
  type ExampleInputs,
  kernelConfig,
  kernelize,
  type KernelizeOptions,
  kernelPlan,
  kernelReport,
  planKernelize,
  tune,
  unkernelize,
} from "./kernelize.ts";
export {
  besideAddress,
  exported,
  findLocal,
  isLocalPath,
  localPath,
  type RefPurpose,
  type RefResolver,
  resolveLocal,
  splitRef,
} from "./local_ref.ts";
export {
  type KernelMapping,
  kernelMapping,
  type MappingOptions,
  registerKernelMapping,
  useKernelMapping,
} from "./mapping.ts";
export type { MatchedSite, MatchKind, ShadowedSite } from "./match.ts";
export { type KernelMode, Mode } from "./mode.ts";
export type { PathPattern } from "./pattern.ts";
export type { KeptSite, KernelPlan, NeededPipeline, PlannedSite } from "./plan.ts";
export { compareValues, defaultTolerance, type Difference, type Tolerance } from "./compare.ts";
export { drawTable, type EndToEnd, formatNumber, KernelReport, type SiteReport } from "./report.ts";
export type { VerifyOptions } from "./verify.ts";
export type { Considered, Selection, Target } from "./select.ts";
export type { KeyedParameter, SiteConversion, SiteRule } from "../checkpoint/mod.ts";
export type { SiteTime } from "./run_site.ts";
export type { PlannedRule, SitePlanConversions } from "./site_conversion.ts";
export { siteConversions } from "./site_conversions.ts";
export type { Node, TreeIndex } from "./tree.ts";
export { takeTurn } from "./turns.ts";
export type { TuneOptions } from "./tune.ts";
export { forgetTuned, type TuneCacheLocation } from "./tune_cache.ts";
export type { RaceOptions } from "./tune_race.ts";
export type { DroppedConstants, SiteTuning, TunedCall } from "./tuning.ts";
