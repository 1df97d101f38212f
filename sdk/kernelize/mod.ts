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
} from "./config/config.ts";
export { mapRefs } from "./config/choice.ts";
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
  exported,
  findLocal,
  findPlace,
  pathOf,
  type RefPurpose,
  type RefResolver,
  resolveLocal,
} from "./config/local.ts";
export {
  type AddressPlace,
  besideAddress,
  type ClassReference,
  type FilePlace,
  type LocalPlace,
  type OtherPlace,
  type PackagePlace,
  parsePlace,
  parseReference,
  type PathPlace,
  type Place,
  type Reference,
  referenceText,
  type TextReference,
} from "./config/reference.ts";
export {
  type KernelMapping,
  kernelMapping,
  type MappingOptions,
  registerKernelMapping,
  useKernelMapping,
} from "./config/mapping.ts";
export type { MatchedSite, MatchKind, ShadowedSite } from "./match/match.ts";
export { type KernelMode, Mode } from "./config/mode.ts";
export type { PathPattern } from "./config/pattern.ts";
export type { KeptSite, KernelPlan, NeededPipeline, PlannedSite } from "./plan/plan.ts";
export { compareValues, defaultTolerance, type Difference, type Tolerance } from "./verify/compare.ts";
export type { EndToEnd } from "./verify/end_to_end.ts";
export { drawTable, formatNumber, KernelReport, type SiteReport } from "./report.ts";
export type { VerifyOptions } from "./verify/verify.ts";
export type { Considered, Selection, Target } from "./match/select.ts";
export type { KeyedParameter, SiteConversion, SiteRule } from "../checkpoint/mod.ts";
export type { SiteTime } from "./verify/run_site.ts";
export type { PlannedRule, SitePlanConversions } from "./prove/conversions.ts";
export { siteConversions } from "./site_conversions.ts";
export type { Node, TreeIndex } from "./match/tree.ts";
export { takeTurn } from "./turns.ts";
export type { TuneOptions } from "./tune/tune.ts";
export { forgetWinners, type WinnersLocation } from "../host/mod.ts";
export type { TuneRaceOptions } from "./tune/race.ts";
export { type DroppedConstants, type SiteTuning, type TunedCall, withConstants } from "./plan/tuned_calls.ts";
export { declaredWrites, leaveUnguarded } from "./plan/writes.ts";
