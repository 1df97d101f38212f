export {
  type AdapterInfo,
  currentGpu,
  type Gpu,
  gpuIfOpen,
  type GpuOptions,
  internalsOf,
  type OpenedGpu,
  openedGpu,
  openGpu,
} from "./device.ts";
export { type CapturedPlan, onReplay, record, replayWhile } from "./capture/record.ts";
export { capture, type CapturedFunction, type CaptureOptions } from "./capture/capture.ts";
export {
  type Collect,
  type CollectedUse,
  collectPipelines,
  collectsOperators,
  dispatch,
  type DispatchBindings,
  type DispatchOptions,
} from "./dispatch.ts";
export { proveTensors } from "./device/prove.ts";
export { GpuStorage } from "./device/backend.ts";
export { guardMemory, type MemoryGuard, type Overrun } from "./guard.ts";
export { type LiveTensor, liveTensors, memory, type MemoryReport, traceAllocations } from "./memory.ts";
export type { Arena } from "./memory/arena.ts";
export type { GpuBackend } from "./device/backend.ts";
export type { Guard } from "./device/backend.ts";
export type { GpuCore } from "./device/core.ts";
export type { Describe, Faults, Proof } from "./memory/faults.ts";
export type { Flow, Ledger, Reading, Work } from "./memory/ledger.ts";
export type { Linked, LiveList } from "./device/live_list.ts";
export type { CompiledPipeline, PipelineCache, PipelineRequest } from "./stream/pipeline.ts";
export type { BufferHome, GpuBuffer } from "./memory/buffer.ts";
export type { BufferPool, PoolStats } from "./memory/pool.ts";
export type { Readback } from "./stream/readback.ts";
export type { Override, Reflection, StorageBinding, UniformBinding, UniformField } from "./shader/reflect.ts";
export {
  type AddedCode,
  type Shader,
  shader,
  type ShaderOptions,
  type ShaderVariant,
} from "./shader/shader.ts";
export { clearlyFaster, median, race, type RaceOptions, type RaceSettings, type RaceTimes } from "./race.ts";
export { canTime, gpuTime } from "./timer.ts";
export type {
  PreparedDispatch,
  PreparedRun,
  RecordedDispatch,
  Stream,
  StreamRecorder,
} from "./stream/stream.ts";
export type { UniformRing } from "./stream/uniform_ring.ts";
export type { UniformValues } from "./shader/uniforms.ts";
export { type PipelineUse, warmPipelines } from "./warm.ts";
export type { WorkgroupNeeds } from "./shader/workgroup_needs.ts";
export { workgroups } from "./workgroups.ts";
