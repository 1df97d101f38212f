/**
 * Checkpoints: safetensors in and out, loading through conversions, and saving that reverses them.
 *
 * @module
 */
export { type Checkpoint, type CheckpointFile } from "./checkpoint.ts";
export { FILE_DTYPES, type FileDType, type FileDTypeInfo } from "./safetensors/file_dtype.ts";
export {
  type FileSet,
  type Folder,
  type FolderLocation,
  type FolderOptions,
  locate,
  openFolder,
  readText,
  textOf,
} from "./source/folder.ts";
export { loadCheckpoint, type LoadOptions, type LoadProgress } from "./load/load.ts";
export {
  type ConvertedReport,
  formatLoadReport,
  type LoadReport,
  type MismatchReport,
  type NonFiniteReport,
} from "./load/report.ts";
export { openCheckpoint, type OpenOptions } from "./open.ts";
export { type Origin, type OriginFile, originOf } from "./origin.ts";
export {
  type LoadPlan,
  type Mismatch,
  planLoad,
  type PlanOptions,
  type Sink,
  type SiteConversion,
  type SiteRule,
} from "./plan/plan.ts";
export { type CatalogEntry, type KeyedParameter, type Step, type Value } from "./plan/value.ts";
export { readHeader, type SafetensorsHeader, type TensorEntry } from "./safetensors/header.ts";
export { type ExtraFile, saveCheckpoint, type SaveOptions, type SaveReport } from "./save/save.ts";
export { blobSource, bytesSource, fileSource, type Source } from "./source/source.ts";
export { urlSource } from "./source/url_source.ts";
export type { Bytes } from "./safetensors/codec.ts";
export { tensorBytes } from "./safetensors/tensor_bytes.ts";
export { type WriteOptions, writeSafetensors } from "./safetensors/write.ts";
