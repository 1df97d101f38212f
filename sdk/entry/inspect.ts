/**
 * To look into: plans before they are applied, why a module runs what it runs, and what the GPU holds.
 *
 * @module
 */
export {
  type BoundRule,
  describeOp,
  describeRule,
  describeSite,
  isKernel,
  type KernelDefinition,
  kernelDefinition,
  type LayoutDefinition,
  sameSite,
  unmetRequirements,
} from "../authoring/mod.ts";
export {
  canTime,
  gpuTime,
  guardMemory,
  type LiveTensor,
  liveTensors,
  type MemoryGuard,
  type Overrun,
  type PoolStats,
  type RaceOptions,
  type Reflection,
  type ShaderVariant,
  type StorageBinding,
  traceAllocations,
  type UniformBinding,
  type UniformField,
} from "../gpu/mod.ts";
export {
  compareValues,
  type Considered,
  defaultTolerance,
  type Difference,
  type DroppedConstants,
  type EndToEnd,
  explain,
  explainPlan,
  type Explanation,
  forgetWinners,
  type KeptSite,
  kernelConfig,
  type KernelPlan,
  kernelPlan,
  type MatchedSite,
  type MatchKind,
  type NeededPipeline,
  type Node,
  planKernelize,
  type PlannedRule,
  type PlannedSite,
  type Selection,
  type ShadowedSite,
  siteConversions,
  type SitePlanConversions,
  type SiteTime,
  type SiteTuning,
  type Target,
  type Tolerance,
  type TreeIndex,
  type TunedCall,
} from "../kernelize/mod.ts";
export { type CallObserver, observed, withObserver } from "../nn/mod.ts";
export { currentTracer, type Tracer, withTracer } from "../tensor/mod.ts";
