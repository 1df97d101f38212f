import { checkArgument, checkInstance, refuseArgument } from "../../arguments.ts";
import { Tensor } from "../../tensor/mod.ts";
import { FILE_DTYPE_OF, FILE_DTYPES, type FileDType } from "./file_dtype.ts";
import { composeHeader, fileBytes, usualOrder } from "./header_writer.ts";
import { tensorBytes } from "./tensor_bytes.ts";

/** How tensors are written. */
export interface WriteOptions {
  /** Strings for `__metadata__`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The dtype in the file, by key; defaults to the one that holds the values exactly. */
  readonly dtypes?: Readonly<Record<string, FileDType>>;
}

/**
 * The bytes of a safetensors file with these tensors. For a whole model use {@linkcode saveCheckpoint}, which needs no
 * memory for all of it.
 *
 * See the example of {@linkcode readHeader}.
 *
 * @throws KW-CHECKPOINT-WRITE
 */
export async function writeSafetensors(
  tensors: ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>,
  options: WriteOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  checkArgument("writeSafetensors(): tensors", tensors, "an object");
  checkArgument("writeSafetensors(): options", options, "an object");
  const given: ReadonlyMap<string, Tensor> = tensors instanceof Map
    ? tensors
    : new Map(Object.entries(tensors));
  for (const [key, tensor] of given) {
    checkArgument("writeSafetensors(): a key", key, "a string");
    checkInstance(`writeSafetensors(): ${JSON.stringify(key)}`, tensor, Tensor);
    const dtype = options.dtypes?.[key];
    if (dtype !== undefined && !Object.hasOwn(FILE_DTYPES, dtype)) {
      refuseArgument(`writeSafetensors(): the dtype of ${JSON.stringify(key)}`, dtype, "one of FILE_DTYPES");
    }
  }
  const planned = usualOrder(
    [...given].map(([key, tensor]) => ({
      key,
      tensor,
      shape: tensor.shape,
      dtype: options.dtypes?.[key] ?? FILE_DTYPE_OF[tensor.dtype],
    })),
  );
  const metadata = options.metadata && new Map(Object.entries(options.metadata));
  const header = composeHeader(planned, metadata);
  const file = new Uint8Array(planned.reduce((n, t) => n + fileBytes(t), header.length));
  file.set(header);
  let at = header.length;
  for (const t of planned) {
    file.set(await tensorBytes(t.tensor, t.dtype), at);
    at += fileBytes(t);
  }
  return file;
}
