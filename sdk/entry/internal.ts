/**
 * What the SDK is made of, for its own tools and for those who extend it: no promise is made that it stays.
 *
 * @module
 */
export { ERROR_CODES } from "../errors.ts";
export {
  type CompiledPipeline,
  currentGpu,
  type GpuBuffer,
  GpuStorage,
  type PipelineRequest,
} from "../gpu/mod.ts";
export { type Backend, type DTypeInfo, DTYPES, Storage } from "../tensor/mod.ts";
