import { checkArgument, checkInstance } from "../../arguments.ts";
import { raise } from "../../errors.ts";
import { type FileHandle, fs, messageOf } from "../../host/mod.ts";

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
  /** Opens the same place again, after it was closed; absent where closing ends nothing. */
  reopen?(): Promise<Source>;
}

/**
 * A source over bytes in memory.
 *
 * @example
 * ```ts
 * import { bytesSource } from "@kernelwright/sdk/checkpoint";
 * import { assertEquals } from "@std/assert";
 *
 * const source = bytesSource(Uint8Array.of(1, 2, 3, 4));
 * assertEquals([source.size, await source.read(1, 2)], [4, Uint8Array.of(2, 3)]);
 * ```
 */
export function bytesSource(bytes: Uint8Array, name = "bytes"): Source {
  checkArgument("bytesSource(): bytes", bytes, "bytes");
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

/**
 * A source over a `Blob`, such as the `File` of an input element.
 *
 * @example
 * ```ts
 * import { blobSource } from "@kernelwright/sdk/checkpoint";
 * import { assertEquals } from "@std/assert";
 *
 * const source = blobSource(new Blob([Uint8Array.of(1, 2, 3, 4)]));
 * assertEquals([source.size, await source.read(1, 2)], [4, Uint8Array.of(2, 3)]);
 * ```
 */
export function blobSource(blob: Blob, name = "blob"): Source {
  checkInstance("blobSource(): blob", blob, Blob);
  return {
    name,
    size: blob.size,
    read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  };
}

/**
 * A source over a file. Close it when done.
 *
 * @throws KW-CHECKPOINT-OPEN when it cannot be opened or is not a regular file (a pipe would never end).
 *
 * @example
 * ```ts
 * import { fileSource } from "@kernelwright/sdk/checkpoint";
 * import { assertEquals } from "@std/assert";
 *
 * const source = await fileSource("./model/config.json");
 * assertEquals(new TextDecoder().decode(await source.read(0, 1)), "{");
 * await source.close?.();
 * ```
 */
export async function fileSource(path: string): Promise<Source> {
  checkArgument("fileSource(): path", path, "a string");
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

/** A read of at most `SMALL` bytes reads `AHEAD`: each read waits its turn, and small tensors lie side by side. */
const [SMALL, AHEAD] = [64 * 1024, 256 * 1024];

type Bytes = Uint8Array<ArrayBuffer>;

class FileSource implements Source {
  readonly name: string;
  readonly size: number;
  readonly #handle: FileHandle;
  #ahead: { readonly from: number; readonly to: number; readonly bytes: Promise<Bytes> } | undefined;

  constructor(name: string, size: number, handle: FileHandle) {
    [this.name, this.size, this.#handle] = [name, size, handle];
  }

  async read(offset: number, length: number, into?: Bytes): Promise<Bytes> {
    const end = Math.min(this.size, offset + length);
    const wanted = Math.max(0, end - offset);
    const target = into && into.length >= wanted ? into : new Uint8Array(wanted);
    if (wanted > SMALL || wanted === 0) return await this.#fill(target, offset, wanted);
    if (!this.#ahead || offset < this.#ahead.from || end > this.#ahead.to) {
      const to = Math.min(this.size, offset + AHEAD);
      const bytes = this.#fill(new Uint8Array(to - offset), offset, to - offset);
      bytes.catch(() => this.#ahead = undefined); // the next read tries again
      this.#ahead = { from: offset, to, bytes };
    }
    const { from, bytes } = this.#ahead;
    const part = (await bytes).subarray(offset - from, end - from);
    target.set(part);
    return target.subarray(0, part.length);
  }

  close(): Promise<void> {
    this.#ahead = undefined;
    return this.#handle.close();
  }

  reopen(): Promise<Source> {
    return fileSource(this.name);
  }

  async #fill(target: Bytes, offset: number, wanted: number): Promise<Bytes> {
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
}

function notAFile(path: string): never {
  raise(
    "KW-CHECKPOINT-OPEN",
    "Cannot open the checkpoint: it is not a regular file",
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
