import { raise } from "../errors.ts";
import { type FileHandle, fs, messageOf } from "./files.ts";

/** Bytes that can be read piece by piece: a file, a Blob, an array. */
export interface Source {
  /** The file's path, or another name for errors. */
  readonly name: string;
  /** How many bytes there are. */
  readonly size: number;
  /**
   * Reads up to `length` bytes at `offset`; fewer only where the source ends.
   *
   * @param into Where to put them, if it is large enough; what is returned may be a part of it.
   */
  read(offset: number, length: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  /** Closes the file behind it, if there is one. */
  close?(): Promise<void>;
}

/** A source over bytes in memory. */
export function bytesSource(bytes: Uint8Array, name = "bytes"): Source {
  return {
    name,
    size: bytes.length,
    read: (offset, length, into) => {
      const part = bytes.subarray(offset, offset + length);
      if (!into || into.length < part.length) return Promise.resolve(part.slice());
      into.set(part);
      return Promise.resolve(into.subarray(0, part.length));
    },
  };
}

/** A source over a `Blob`, such as the `File` of an input element. */
export function blobSource(blob: Blob, name = "blob"): Source {
  return {
    name,
    size: blob.size,
    read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  };
}

/**
 * A source over a file. Close it when done.
 *
 * @throws KW-CHECKPOINT-OPEN when it cannot be opened or is no regular file (a pipe would never end).
 */
export async function fileSource(path: string): Promise<Source> {
  const { open, stat } = fs();
  let handle: FileHandle | undefined;
  try {
    if (!(await stat(path)).isFile()) notAFile(path);
    handle = await open(path, "r");
    const { size } = await handle.stat();
    return new FileSource(path, size, handle);
  } catch (cause) {
    await handle?.close();
    return couldNot("open", path, cause);
  }
}

// ---------------------------------------------------------------------------

class FileSource implements Source {
  readonly name: string;
  readonly size: number;
  readonly #handle: FileHandle;

  constructor(name: string, size: number, handle: FileHandle) {
    [this.name, this.size, this.#handle] = [name, size, handle];
  }

  async read(
    offset: number,
    length: number,
    into?: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const wanted = Math.max(0, Math.min(length, this.size - offset));
    const target = into && into.length >= wanted ? into : new Uint8Array(wanted);
    let done = 0;
    try {
      while (done < wanted) {
        const { bytesRead } = await this.#handle.read(target, done, wanted - done, offset + done);
        if (bytesRead === 0) break; // it has become shorter since it was opened
        done += bytesRead;
      }
    } catch (cause) {
      couldNot("read", this.name, cause);
    }
    return target.subarray(0, done);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

function notAFile(path: string): never {
  raise(
    "KW-CHECKPOINT-OPEN",
    "Cannot open the checkpoint: it is no regular file",
    "Give a file or a folder.",
    {
      file: path,
    },
  );
}

function couldNot(action: string, path: string, cause: unknown): never {
  if (cause instanceof Error && cause.name === "KernelwrightError") throw cause;
  raise(
    "KW-CHECKPOINT-OPEN",
    `Cannot ${action} the checkpoint: ${messageOf(cause)}`,
    undefined,
    { file: path },
    cause,
  );
}
