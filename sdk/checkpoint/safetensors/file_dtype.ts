import type { DType } from "../../tensor/mod.ts";

/** The dtypes of safetensors files that this SDK knows. */
export type FileDType =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "I64"
  | "U64"
  | "I32"
  | "U32"
  | "I16"
  | "U16"
  | "I8"
  | "U8"
  | "BOOL"
  | "F8_E4M3"
  | "F8_E5M2";

/** What is true of a file's dtype. */
export interface FileDTypeInfo {
  /** Bytes per element. */
  readonly bytes: number;
  /** Whether the values are floating-point numbers: the user chooses what those are loaded as. */
  readonly float: boolean;
  /** What a tensor of it becomes by default; undefined where it cannot be loaded. */
  readonly natural: DType | undefined;
}

/**
 * The properties of every dtype of files.
 *
 * @example
 * ```ts
 * import { FILE_DTYPES } from "@kernelwright/sdk/checkpoint";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(FILE_DTYPES.BF16, { bytes: 2, float: true, natural: "f32" });
 * ```
 */
export const FILE_DTYPES: Readonly<Record<FileDType, FileDTypeInfo>> = {
  F64: { bytes: 8, float: true, natural: "f32" },
  F32: { bytes: 4, float: true, natural: "f32" },
  F16: { bytes: 2, float: true, natural: "f32" },
  BF16: { bytes: 2, float: true, natural: "f32" },
  I64: { bytes: 8, float: false, natural: "i32" },
  U64: { bytes: 8, float: false, natural: "u32" },
  I32: { bytes: 4, float: false, natural: "i32" },
  U32: { bytes: 4, float: false, natural: "u32" },
  I16: { bytes: 2, float: false, natural: "i32" },
  U16: { bytes: 2, float: false, natural: "u32" },
  I8: { bytes: 1, float: false, natural: "i32" },
  U8: { bytes: 1, float: false, natural: "u8" },
  BOOL: { bytes: 1, float: false, natural: "bool" },
  // Known so that a header is read and shown; WebGPU has nothing to hold them.
  F8_E4M3: { bytes: 1, float: true, natural: undefined },
  F8_E5M2: { bytes: 1, float: true, natural: undefined },
};

/** The file dtype that holds a tensor's values exactly. */
export const FILE_DTYPE_OF: Readonly<Record<DType, FileDType>> = {
  f32: "F32",
  f16: "F16",
  bf16: "BF16",
  i32: "I32",
  u32: "U32",
  u8: "U8",
  bool: "BOOL",
};

/** Whether a name is one of the known dtypes. */
export function isFileDType(name: string): name is FileDType {
  return Object.hasOwn(FILE_DTYPES, name);
}
