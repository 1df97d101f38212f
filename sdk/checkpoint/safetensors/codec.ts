/**
 * How the elements of a file become those of a tensor, and back: one codec for each pair of dtypes that go together.
 *
 * Codecs work on bytes in scratch memory that begins at an aligned address; files and tensors are little-endian, as
 * is every machine with WebGPU.
 */
import { type DType, DTYPES } from "../../tensor/mod.ts";
import { FILE_DTYPES, type FileDType } from "./file_dtype.ts";
import { narrowBF16, narrowF16, widenBF16, widenF16 } from "./half.ts";

/** The bytes of some elements; `byteOffset` is a multiple of 8. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** The way between one dtype of files and one of tensors. */
export interface Codec {
  /** Whether the bits are the same, so that nothing needs to be done. */
  readonly same: boolean;
  /** Whether every value of the file fits the tensor's dtype, so that saving gives the same bits back. */
  readonly exact: boolean;
  /** Writes the tensor's elements; returns the index of the first that does not fit, or -1. */
  decode(file: Bytes, tensor: Bytes): number;
  /** Writes the file's elements. */
  encode(tensor: Bytes, file: Bytes): void;
}

/** The codec of a pair, or undefined where the one cannot be loaded as the other. */
export function codecOf(file: FileDType, dtype: DType): Codec | undefined {
  return CODECS[`${file} ${dtype}`];
}

/** What can be loaded from a dtype of files, for messages. */
export function loadableAs(file: FileDType): DType[] {
  return (Object.keys(DTYPES) as DType[]).filter((d) => codecOf(file, d));
}

/** The dtype that a file's tensor is loaded as: `float` for floating-point numbers, else what holds them. */
export function loadedDType(file: FileDType, float: DType): DType | undefined {
  const { natural, float: isFloat } = FILE_DTYPES[file];
  return natural !== undefined && isFloat ? float : natural;
}

/** Counts the elements that are NaN or infinite, and finds the first. */
export function countNonFinite(dtype: DType, bytes: Bytes): { count: number; first: number } {
  let [count, first] = [0, -1];
  const note = (i: number) => {
    if (count++ === 0) first = i;
  };
  if (dtype === "f32") {
    const bits = u32(bytes);
    for (let i = 0; i < bits.length; i++) if ((bits[i] & 0x7f800000) === 0x7f800000) note(i);
  } else if (dtype === "f16") {
    const bits = u16(bytes);
    for (let i = 0; i < bits.length; i++) if ((bits[i] & 0x7c00) === 0x7c00) note(i);
  }
  return { count, first };
}

// ---------------------------------------------------------------------------

type Numbers = ArrayLike<number | bigint> & { [i: number]: number | bigint };
type View = (bytes: Bytes) => Numbers;

const at = (b: Bytes, size: number): [ArrayBuffer, number, number] => [
  b.buffer,
  b.byteOffset,
  Math.floor(b.length / size),
];
const u16 = (b: Bytes): Uint16Array => new Uint16Array(...at(b, 2));
const u32 = (b: Bytes): Uint32Array => new Uint32Array(...at(b, 4));
const f16 = (b: Bytes): Float16Array => new Float16Array(...at(b, 2));
const f32 = (b: Bytes): Float32Array => new Float32Array(...at(b, 4));
const f64 = (b: Bytes): Float64Array => new Float64Array(...at(b, 8));

const same: Codec = {
  same: true,
  exact: true,
  decode: (file, tensor) => (tensor.set(file), -1),
  encode: (tensor, file) => file.set(tensor),
};

function codec(
  exact: boolean,
  decode: (f: Bytes, t: Bytes) => void,
  encode: (t: Bytes, f: Bytes) => void,
): Codec {
  return { same: false, exact, decode: (f, t) => (decode(f, t), -1), encode };
}

/** Through f32 bits: f16 and bf16 have no direct way. */
function viaF32(
  exact: boolean,
  widen: (f: Uint16Array, t: Uint32Array) => void,
  narrow: (f: Uint32Array, t: Uint16Array) => void,
  [widenBack, narrowBack]: [typeof widen, typeof narrow],
): Codec {
  const wide = (b: Bytes) => new Uint32Array(b.length / 2);
  return codec(
    exact,
    (f, t) => {
      const bits = wide(f);
      widen(u16(f), bits);
      narrow(bits, u16(t));
    },
    (t, f) => {
      const bits = wide(t);
      widenBack(u16(t), bits);
      narrowBack(bits, u16(f));
    },
  );
}

/** Whole numbers: each is checked to fit. */
function integers(file: View, tensor: View, [low, high]: [number, number], big: boolean): Codec {
  return {
    same: false,
    exact: true,
    decode: (f, t) => {
      const [from, to] = [file(f), tensor(t)];
      for (let i = 0; i < from.length; i++) {
        if (from[i] < low || from[i] > high) return i;
        to[i] = Number(from[i]);
      }
      return -1;
    },
    encode: (t, f) => {
      const [from, to] = [tensor(t), file(f)];
      for (let i = 0; i < to.length; i++) to[i] = big ? BigInt(from[i]) : from[i];
    },
  };
}

const i32: View = (b) => new Int32Array(...at(b, 4));
const i64: View = (b) => new BigInt64Array(...at(b, 8)) as unknown as Numbers;
const u64: View = (b) => new BigUint64Array(...at(b, 8)) as unknown as Numbers;
const i16: View = (b) => new Int16Array(...at(b, 2));
const i8: View = (b) => new Int8Array(...at(b, 1));
const I32_RANGE: [number, number] = [-(2 ** 31), 2 ** 31 - 1];
const U32_RANGE: [number, number] = [0, 2 ** 32 - 1];

const CODECS: Readonly<Record<string, Codec>> = {
  "F32 f32": same,
  "F16 f32": codec(true, (f, t) => widenF16(u16(f), u32(t)), (t, f) => narrowF16(u32(t), u16(f))),
  "BF16 f32": codec(true, (f, t) => widenBF16(u16(f), u32(t)), (t, f) => narrowBF16(u32(t), u16(f))),
  "F64 f32": codec(false, (f, t) => f32(t).set(f64(f)), (t, f) => f64(f).set(f32(t))),
  "F16 f16": same,
  "F32 f16": codec(false, (f, t) => narrowF16(u32(f), u16(t)), (t, f) => widenF16(u16(t), u32(f))),
  "BF16 f16": viaF32(false, widenBF16, narrowF16, [widenF16, narrowBF16]),
  "F64 f16": codec(false, (f, t) => f16(t).set(f64(f)), (t, f) => f64(f).set(f16(t))),
  "I32 i32": same,
  "I64 i32": integers(i64, i32, I32_RANGE, true),
  "U64 i32": integers(u64, i32, I32_RANGE, true),
  "U32 i32": integers(u32, i32, I32_RANGE, false),
  "I16 i32": integers(i16, i32, I32_RANGE, false),
  "U16 i32": integers(u16, i32, I32_RANGE, false),
  "I8 i32": integers(i8, i32, I32_RANGE, false),
  "U8 i32": integers((b) => b, i32, I32_RANGE, false),
  "U32 u32": same,
  "U64 u32": integers(u64, u32, U32_RANGE, true),
  "I64 u32": integers(i64, u32, U32_RANGE, true),
  "U16 u32": integers(u16, u32, U32_RANGE, false),
  "U8 u32": integers((b) => b, u32, U32_RANGE, false),
  "U8 u8": same,
  "BOOL bool": same,
  "U8 bool": integers((b) => b, (b) => b, [0, 1], false),
  "BOOL u8": same,
  "BF16 bf16": same,
};
