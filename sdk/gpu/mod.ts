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
export { GpuStorage } from "./gpu_storage.ts";
export { guardMemory, type MemoryGuard, type Overrun } from "./guard.ts";
export { type LiveTensor, liveTensors, memory, type MemoryReport, traceAllocations } from "./memory.ts";
export type { PipelineRequest } from "./pipeline.ts";
export type { GpuBuffer, PoolStats } from "./pool.ts";
export { type Shader, shader, type ShaderOptions, type ShaderVariant } from "./shader.ts";
export { canTime, gpuTime } from "./timer.ts";
export type { UniformValues } from "./uniforms.ts";
export { type PipelineUse, warmPipelines } from "./warm.ts";
