/**
 * What the SDK is made of, for its own tools and for those who extend it: no promise is made that it stays.
 *
 * @module
 */
export { ERROR_CODES } from "../errors.ts";
export {
  type Arena,
  type BufferHome,
  type BufferPool,
  type CompiledPipeline,
  currentGpu,
  type Describe,
  type Faults,
  type Flow,
  type GpuBackend,
  type GpuBuffer,
  type GpuCore,
  GpuStorage,
  type Guard,
  type Ledger,
  type Linked,
  type LiveList,
  type OpenedGpu,
  type PipelineCache,
  type PipelineRequest,
  type PreparedDispatch,
  type PreparedRun,
  type Proof,
  type Readback,
  type Reading,
  type RecordedDispatch,
  type Stream,
  type StreamRecorder,
  type UniformRing,
  type Work,
} from "../gpu/mod.ts";
export { type Backend, type DTypeInfo, DTYPES, Storage } from "../tensor/mod.ts";
