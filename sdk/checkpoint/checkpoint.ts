import type { SafetensorsHeader, TensorEntry } from "./safetensors/header.ts";

/** A checkpoint whose headers have been read and checked: one file, or shards with their index. */
export interface Checkpoint {
  /** The path or name that it was opened under. */
  readonly name: string;
  /** The files, with their names inside the folder, in the order in which they were read. */
  readonly files: readonly CheckpointFile[];
  /** Every tensor by its key, file by file in the order of their bytes. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** The index file's name and bytes, where there is one. */
  readonly index?: { readonly name: string; readonly bytes: Uint8Array };
  /** Closes the files. */
  close(): Promise<void>;
  /** Lets `await using` statements close it. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** One file of a checkpoint. */
export interface CheckpointFile {
  /** Its name inside the folder. */
  readonly name: string;
  /** Its header. */
  readonly header: SafetensorsHeader;
}

/** Puts files together; what their keys must be is checked by who opens them. */
export function makeCheckpoint(
  name: string,
  files: readonly CheckpointFile[],
  index?: Checkpoint["index"],
): Checkpoint {
  const close = async () => {
    for (const f of files) await f.header.source.close?.();
  };
  return {
    name,
    files,
    tensors: new Map(files.flatMap((f) => [...f.header.tensors])),
    index,
    close,
    [Symbol.asyncDispose]: close,
  };
}
