import { raise } from "../../errors.ts";
import type { Shape } from "../../tensor/mod.ts";
import { FILE_DTYPES, type FileDType } from "./file_dtype.ts";

/** A tensor that will be in a file. */
export interface PlannedTensor {
  /** Its key. */
  readonly key: string;
  /** Its dtype in the file. */
  readonly dtype: FileDType;
  /** Its shape. */
  readonly shape: Shape;
}

/** Bytes that a tensor takes in a file. */
export function fileBytes({ dtype, shape }: PlannedTensor): number {
  return shape.reduce((a, b) => a * b, FILE_DTYPES[dtype].bytes);
}

/**
 * A header for tensors in this order, with the 8 bytes of its length, padded with spaces to a multiple of 8.
 *
 * @throws KW-CHECKPOINT-WRITE when a key comes twice or is `__metadata__`.
 */
export function composeHeader(
  tensors: readonly PlannedTensor[],
  metadata?: ReadonlyMap<string, string>,
): Uint8Array<ArrayBuffer> {
  const parts: string[] = [];
  const seen = new Set(["__metadata__"]);
  if (metadata) {
    const strings = [...metadata].map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`);
    parts.push(`"__metadata__":{${strings.join(",")}}`);
  }
  let at = 0;
  for (const t of tensors) {
    if (seen.has(t.key)) {
      raise("KW-CHECKPOINT-WRITE", "Cannot write two tensors under one key", undefined, { key: t.key });
    }
    seen.add(t.key);
    const end = at + fileBytes(t);
    parts.push(
      `${JSON.stringify(t.key)}:{"dtype":"${t.dtype}","shape":[${
        t.shape.join(",")
      }],"data_offsets":[${at},${end}]}`,
    );
    at = end;
  }
  const json = new TextEncoder().encode(`{${parts.join(",")}}`);
  const length = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + length).fill(0x20, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}

/** The order in which the format's own library writes: wide dtypes first, then by key. */
export function usualOrder<T extends PlannedTensor>(tensors: Iterable<T>): T[] {
  return [...tensors].sort((a, b) =>
    FILE_DTYPES[b.dtype].bytes - FILE_DTYPES[a.dtype].bytes || (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
  );
}
