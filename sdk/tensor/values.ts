/** Numbers from outside as a tensor's: what a dtype cannot hold is refused, never wrapped. */
import { showValue } from "../arguments.ts";
import { raise } from "../errors.ts";
import { type DType, DTYPES, type TensorData } from "./dtype.ts";
import { formatShape, type Shape } from "./shape.ts";

/** Values for {@linkcode Tensor.from}: a typed array or nested arrays of numbers. */
export type TensorValues =
  | TensorData
  | Int8Array
  | Int16Array
  | Uint8ClampedArray
  | BigInt64Array
  | BigUint64Array
  | readonly NestedNumbers[]
  | number
  | bigint
  | boolean;

/** A number, or arrays of numbers to any depth. */
export type NestedNumbers = number | bigint | boolean | readonly NestedNumbers[];

/** Values in row-major order, and the shape that they came in. */
export interface FlatValues {
  /** One for each element; not looked at yet. */
  readonly data: ArrayLike<unknown>;
  /** The shape of the nested arrays; one dimension for a typed array. */
  readonly shape: Shape;
}

/** The dtype that an array implies. 64-bit integers become 32-bit ones, where they fit. */
export function impliedDType(values: unknown): DType {
  if (values instanceof Int32Array || values instanceof Int16Array || values instanceof Int8Array) {
    return "i32";
  }
  if (values instanceof BigInt64Array) return "i32";
  if (values instanceof Uint32Array || values instanceof BigUint64Array) return "u32";
  if (values instanceof Uint8Array || values instanceof Uint8ClampedArray) return "u8";
  if (values instanceof Uint16Array) return "bf16";
  if (values instanceof Float16Array) return "f16";
  return "f32";
}

/**
 * The values in one row.
 *
 * @throws KW-TENSOR-DATA for what is neither a number, nor nested arrays of equal length, nor a typed array.
 */
export function flatten(values: unknown, name?: string): FlatValues {
  if (isTyped(values)) return { data: values, shape: [values.length] };
  const shape: number[] = [];
  for (let level: unknown = values; Array.isArray(level); level = level[0]) {
    if (shape.push(level.length) > MOST_DIMENSIONS) refuseDepth(name);
  }
  const data: unknown[] = [];
  const walk = (level: unknown, depth: number) => {
    const length = Array.isArray(level) ? level.length : undefined;
    if (length !== shape[depth]) {
      raise(
        "KW-TENSOR-DATA",
        "Cannot make a tensor from nested arrays of uneven length",
        "Make every row equally long.",
        { tensor: name },
      );
    }
    // By index: a hole is a value that is missing.
    if (Array.isArray(level)) { for (let i = 0; i < level.length; i++) walk(level[i], depth + 1); }
    else data.push(level);
  };
  walk(values, 0);
  return { data, shape };
}

/**
 * The values as the dtype's own array, each of them checked unless it is that array already (of `bool`, the bytes).
 *
 * Floats are rounded to the nearest, and become infinite where the dtype ends, as everywhere in JavaScript.
 *
 * @param shape For the message, which names the value by its indices.
 * @throws KW-TENSOR-DATA
 */
export function toTyped(data: ArrayLike<unknown>, dtype: DType, shape?: Shape, name?: string): TensorData {
  const { bytes, array, float } = DTYPES[dtype];
  const typed = arrayFor(data.length, bytes, array, name);
  if (data.constructor === typed.constructor && ArrayBuffer.isView(data)) {
    return ownMemory(data as TensorData);
  }
  if (dtype === "bf16") {
    raise("KW-TENSOR-DATA", "Cannot make a bf16 tensor from numbers", "Give its raw bits as a Uint16Array.", {
      tensor: name,
    });
  }
  if (float && isTyped(data) && !isBig(data)) {
    typed.set(data as TensorData);
    return typed;
  }
  const range = RANGES[dtype];
  for (let i = 0; i < data.length; i++) {
    const given = data[i];
    const value = typeof given === "number"
      ? given
      : typeof given === "boolean" || (typeof given === "bigint" && !float)
      ? Number(given)
      : undefined;
    const fits = value !== undefined &&
      (!range || (Number.isInteger(value) && value >= range[0] && value <= range[1]));
    if (!fits) refuseValue(given, i, dtype, shape, name);
    typed[i] = value;
  }
  return typed;
}

/** The most that one dimension, or all, may be; more is a mistake, or an array that holds itself. */
const MOST_DIMENSIONS = 64;

// ---------------------------------------------------------------------------

/** What the dtypes of whole numbers hold. */
const RANGES: Partial<Record<DType, readonly [number, number]>> = {
  i32: [-0x80000000, 0x7fffffff],
  u32: [0, 0xffffffff],
  u8: [0, 0xff],
  bool: [0, 1],
};

function isTyped(values: unknown): values is TensorData {
  return ArrayBuffer.isView(values) && !(values instanceof DataView);
}

function isBig(values: unknown): boolean {
  return values instanceof BigInt64Array || values instanceof BigUint64Array;
}

/** WebGPU takes no memory that another thread shares or that may change its size. */
function ownMemory(data: TensorData): TensorData {
  const { buffer } = data;
  return buffer instanceof ArrayBuffer && !buffer.resizable ? data : data.slice();
}

function arrayFor(
  length: number,
  bytes: number,
  array: (buffer: ArrayBuffer) => TensorData,
  name?: string,
): TensorData {
  return array(hostBytes(length * bytes, name));
}

/**
 * Zeroed memory on the host.
 *
 * @throws KW-TENSOR-SHAPE where the host has not so much.
 */
export function hostBytes(bytes: number, name?: string): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes);
  } catch (cause) {
    raise(
      "KW-TENSOR-SHAPE",
      `Cannot make a tensor of ${bytes} bytes: the host has no memory for it`,
      "Split the tensor.",
      { tensor: name },
      cause,
    );
  }
}

function refuseDepth(name?: string): never {
  raise(
    "KW-TENSOR-DATA",
    `Cannot make a tensor from arrays that are nested more than ${MOST_DIMENSIONS} deep`,
    "An array may hold itself.",
    { tensor: name },
  );
}

function refuseValue(given: unknown, at: number, dtype: DType, shape?: Shape, name?: string): never {
  const range = RANGES[dtype];
  const holds = !range
    ? `${dtype} takes numbers.${typeof given === "bigint" ? " Give an integer dtype for a bigint." : ""}`
    : dtype === "bool"
    ? "bool takes true and false, or 1 and 0."
    : `${dtype} holds whole numbers from ${range[0]} to ${range[1]}.`;
  raise(
    "KW-TENSOR-DATA",
    `Cannot make a tensor of ${dtype}: the value at ${placeOf(at, shape)} is ${showValue(given)}`,
    holds,
    { tensor: name },
  );
}

function placeOf(at: number, shape: Shape = [at + 1]): string {
  const place: number[] = [];
  for (let d = shape.length - 1, rest = at; d >= 0; d--) {
    place.unshift(rest % shape[d]);
    rest = Math.floor(rest / shape[d]);
  }
  return formatShape(place);
}
