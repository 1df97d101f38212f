/**
 * Write GPU kernels as packages, and drop them into a real model without touching the model's code.
 *
 * Here is what every kernel's author and every model's user needs: tensors, kernels, layouts, sites, conversions,
 * dispatching and kernelizing. Besides: operators (`/ops`), modules (`/nn`), models (`/models`), checkpoints
 * (`/checkpoint`), configs in code (`/config`), plans and memory to look into (`/inspect`), the harness for kernel
 * authors (`/testing`), kernels from elsewhere (`/registry`).
 *
 * @module
 */

// --- Tensors ---------------------------------------------------------------------------------------------------
export {
  type DeviceName,
  type DType,
  keep,
  type NestedNumbers,
  Parameter,
  parameter,
  scope,
  type Shape,
  Tensor,
  type TensorData,
  type TensorOptions,
  type TensorSpec,
  type TensorValues,
} from "./sdk/tensor/mod.ts";

// --- Modules ---------------------------------------------------------------------------------------------------
export {
  type FunctionModuleClass,
  layer,
  makeReplaceable,
  Module,
  type ModuleClass,
  replaceableFunction,
  type ReplaceableOptions,
} from "./sdk/nn/mod.ts";

// --- Kernels and layouts -----------------------------------------------------------------------------------------
export {
  type Capabilities,
  type Constants,
  type ConversionsOf,
  type Forward,
  type FusionNeedsLayout,
  kernel,
  type KernelClass,
  type KernelDecorator,
  type KernelOptions,
  Layout,
  layout,
  type LayoutDecorator,
  type LayoutOptions,
  type LayoutWhereFused,
  type Requirements,
  type SignatureMismatch,
  type Stateless,
  type Tune,
  tuned,
} from "./sdk/authoring/mod.ts";

// --- Sites: what a kernel stands for ---------------------------------------------------------------------------------
export {
  type Accepts,
  type AnySite,
  type Exact,
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
  type Site,
  type SiteKind,
  type SitePart,
} from "./sdk/authoring/mod.ts";

// --- Conversions: how a checkpoint's weights get into a layout ---------------------------------------------------------
export {
  type BoundOp,
  cast,
  chunk,
  concatenate,
  type ConversionOp,
  type ConversionRule,
  convert,
  type ConvertOptions,
  interleave,
  type Move,
  pad,
  type PadOptions,
  permute,
  permuteForRope,
  rename,
  reshape,
  type RopePermutation,
  split,
  stackList,
  type StackOptions,
  transpose,
  unstackList,
} from "./sdk/authoring/mod.ts";

// --- Shaders and dispatch ------------------------------------------------------------------------------------------
export {
  type AdapterInfo,
  capture,
  type CapturedFunction,
  type CapturedPlan,
  type CaptureOptions,
  dispatch,
  type DispatchBindings,
  type DispatchOptions,
  type Gpu,
  gpuIfOpen,
  type GpuOptions,
  memory,
  type MemoryReport,
  openGpu,
  record,
  type Shader,
  shader,
  type ShaderOptions,
  type UniformValues,
  workgroups,
} from "./sdk/gpu/mod.ts";

// --- Kernels into models -------------------------------------------------------------------------------------------
export {
  type KernelConfig,
  kernelize,
  type KernelizeOptions,
  KernelReport,
  kernelReport,
  type SiteReport,
  tune,
  type TuneOptions,
  unkernelize,
  type VerifyOptions,
} from "./sdk/kernelize/mod.ts";

// --- Errors --------------------------------------------------------------------------------------------------------
export {
  type Diagnostic,
  type ErrorCode,
  type Excerpt,
  KernelwrightError,
  type Where,
} from "./sdk/errors.ts";
