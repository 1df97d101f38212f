export { type AdapterInfo, currentGpu, type Gpu, gpuIfOpen, type GpuOptions, openGpu } from "./device.ts";
export { CapturedPlan, onReplay, record } from "./capture.ts";
export { capture, type CapturedFunction, type CaptureOptions } from "./captured_function.ts";
export {
  type Collect,
  type CollectedUse,
  collectPipelines,
  collectsOperators,
  dispatch,
  type DispatchBindings,
  type DispatchOptions,
} from "./dispatch.ts";
export { proveTensors } from "./prove.ts";
export { GpuStorage } from "./backend.ts";
export { guardMemory, type MemoryGuard, type Overrun } from "./guard.ts";
export { type LiveTensor, liveTensors, memory, type MemoryReport, traceAllocations } from "./memory.ts";
export type { Arena } from "./arena.ts";
export type { GpuBackend } from "./backend.ts";
export type { Guard } from "./backend.ts";
export type { GpuCore } from "./core.ts";
export type { Describe, Faults, Proof } from "./faults.ts";
export type { Flow, Ledger, Reading, Work } from "./ledger.ts";
export type { Linked, LiveList } from "./live_list.ts";
export type { CompiledPipeline, PipelineCache, PipelineRequest } from "./pipeline.ts";
export type { BufferHome, GpuBuffer } from "./buffer.ts";
export type { BufferPool, PoolStats } from "./pool.ts";
export type { Readback } from "./readback.ts";
export type { Override, Reflection, StorageBinding, UniformBinding, UniformField } from "./reflect.ts";
export { type AddedCode, type Shader, shader, type ShaderOptions, type ShaderVariant } from "./shader.ts";
export { canTime, gpuTime } from "./timer.ts";
export type { PreparedDispatch, PreparedRun, RecordedDispatch, Stream, StreamRecorder } from "./stream.ts";
export type { UniformRing } from "./uniform_ring.ts";
export type { UniformValues } from "./uniforms.ts";
export { type PipelineUse, warmPipelines } from "./warm.ts";
export type { WorkgroupNeeds } from "./workgroup_needs.ts";
