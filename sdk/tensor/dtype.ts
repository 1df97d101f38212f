import { showValue } from "../arguments.ts";
import { raise } from "../errors.ts";

/** The element types of tensors. `bf16` is a storage type: it is widened to f32 before anything computes with it. */
export type DType = "f32" | "f16" | "bf16" | "i32" | "u32" | "u8" | "bool";

/** A typed array that holds a tensor's values; the reference device uses `Float64Array` for floats. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Float16Array
  | Int32Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

/** What is true of one dtype. Code asks these properties instead of comparing names. */
export interface DTypeInfo {
  /** Bytes per element in memory and in files. */
  readonly bytes: number;
  /** Whether the values are floating-point numbers. */
  readonly float: boolean;
  /** The WGSL element types under which a shader may bind it; empty where it cannot. */
  readonly wgsl: readonly string[];
  /** Makes the array that {@linkcode Tensor.data} returns. `bf16` values are raw bits. */
  readonly array: (buffer: ArrayBuffer) => TensorData;
}

/** The properties of every dtype. */
export const DTYPES: Readonly<Record<DType, DTypeInfo>> = {
  f32: { bytes: 4, float: true, wgsl: ["f32"], array: (b) => new Float32Array(b) },
  f16: { bytes: 2, float: true, wgsl: ["f16"], array: (b) => new Float16Array(b) },
  bf16: { bytes: 2, float: true, wgsl: [], array: (b) => new Uint16Array(b) },
  i32: { bytes: 4, float: false, wgsl: ["i32"], array: (b) => new Int32Array(b) },
  u32: { bytes: 4, float: false, wgsl: ["u32"], array: (b) => new Uint32Array(b) },
  // Four bytes to a word: WGSL has no 8-bit type.
  u8: { bytes: 1, float: false, wgsl: ["u32"], array: (b) => new Uint8Array(b) },
  bool: { bytes: 1, float: false, wgsl: ["u32"], array: (b) => new Uint8Array(b) },
};

/**
 * Checks that a dtype is one.
 *
 * @throws KW-TENSOR-DTYPE
 */
export function checkDTypeName(dtype: unknown): asserts dtype is DType {
  if (NAMES.has(dtype)) return;
  raise(
    "KW-TENSOR-DTYPE",
    `Cannot make a tensor of dtype ${showValue(dtype)}`,
    `Give one of ${Object.keys(DTYPES).join(", ")}.`,
  );
}

const NAMES = new Set<unknown>(Object.keys(DTYPES)); // asked for every tensor that is made
