export { type AdapterInfo, currentGpu, type Gpu, gpuIfOpen, type GpuOptions, openGpu } from "./device.ts";
export { collectPipelines, dispatch, type DispatchBindings, type DispatchOptions } from "./dispatch.ts";
export { GpuStorage } from "./gpu_storage.ts";
export { guardMemory, type MemoryGuard, type Overrun } from "./guard.ts";
export { type LiveTensor, liveTensors, memory, type MemoryReport, traceAllocations } from "./memory.ts";
export type { PipelineRequest } from "./pipeline.ts";
export type { GpuBuffer, PoolStats } from "./pool.ts";
export { type Shader, shader, type ShaderOptions, type ShaderVariant } from "./shader.ts";
export type { UniformValues } from "./uniforms.ts";
