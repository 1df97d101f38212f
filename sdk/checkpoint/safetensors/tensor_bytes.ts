import { checkInstance, refuseArgument } from "../../arguments.ts";
import { raise } from "../../errors.ts";
import { type DType, DTYPES, formatSpec, Tensor, type TensorData } from "../../tensor/mod.ts";
import { type Bytes, codecOf } from "./codec.ts";
import { FILE_DTYPE_OF, FILE_DTYPES, type FileDType } from "./file_dtype.ts";

/**
 * A tensor's values as a file stores them, after everything recorded so far has run.
 *
 * @param dtype The file's dtype; defaults to the one that holds the values exactly.
 * @throws KW-CHECKPOINT-WRITE for a dtype that the tensor's cannot be stored as.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { tensorBytes } from "@kernelwright/sdk/checkpoint";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([1, -2]);
 * assertEquals([...await tensorBytes(x, "BF16")], [0x80, 0x3f, 0x00, 0xc0]); // little-endian
 * ```
 */
export async function tensorBytes(t: Tensor, dtype: FileDType = FILE_DTYPE_OF[t?.dtype]): Promise<Bytes> {
  checkInstance("tensorBytes(): t", t, Tensor);
  if (!Object.hasOwn(FILE_DTYPES, dtype)) refuseArgument("tensorBytes(): dtype", dtype, "one of FILE_DTYPES");
  const codec = codecOf(dtype, t.dtype);
  if (!codec) {
    raise("KW-CHECKPOINT-WRITE", `Cannot store ${formatSpec(t)} as ${dtype}`, undefined, { tensor: t.name });
  }
  const own = bytesOf(await t.data(), t.dtype);
  if (codec.same) return own;
  const out = new Uint8Array(t.size * FILE_DTYPES[dtype].bytes);
  codec.encode(own, out);
  return out;
}

// ---------------------------------------------------------------------------

function bytesOf(data: TensorData, dtype: DType): Bytes {
  let typed = data;
  if (data instanceof Float64Array) { // the reference device
    typed = dtype === "f16" ? new Float16Array(data) : new Float32Array(data);
  }
  const bytes = typed.length * DTYPES[dtype].bytes;
  return new Uint8Array(typed.buffer as ArrayBuffer, typed.byteOffset, bytes);
}
