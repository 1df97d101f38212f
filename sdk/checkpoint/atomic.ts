/**
 * Files that appear all at once.
 *
 *   write ──► .model.safetensors.<tag>.tmp ──fsync──► rename ──► remove what the new files replace
 *
 * Until the last rename the folder still reads as the old checkpoint, and after it as the new one; a crash at any point
 * leaves one of the two whole.
 */
import { KernelwrightError } from "../errors.ts";
import { type FileHandle, fs, joinFile, messageOf } from "./files.ts";

/** Writes bytes at a position of a file that is being made. */
export type WriteAt = (name: string, bytes: Uint8Array, position: number) => Promise<void>;

/** What {@linkcode replaceFiles} does. */
export interface Replacement {
  /** The names of the new files. The last one decides: when it is renamed, the new checkpoint is there. */
  readonly names: readonly string[];
  /** Fills them. */
  readonly write: (writeAt: WriteAt) => Promise<void>;
  /** Names of old files that must go, once the new ones are there. */
  readonly remove?: readonly string[];
}

/**
 * Writes files beside the old ones and then puts them in their place. On any error the folder is as it was.
 *
 * @throws KW-CHECKPOINT-WRITE, or what `write` throws.
 */
export async function replaceFiles(
  folder: string,
  { names, write, remove = [] }: Replacement,
): Promise<void> {
  const { mkdir, open, rename, rm } = fs();
  const tag = crypto.randomUUID().slice(0, 8);
  const temporary = (name: string) => joinFile(folder, `.${name}.${tag}.tmp`);
  const handles = new Map<string, FileHandle>();
  try {
    await mkdir(folder, { recursive: true });
    for (const name of names) handles.set(name, await open(temporary(name), "wx"));
    await write((name, bytes, position) => writeAll(handles.get(name)!, bytes, position));
    for (const [name, handle] of handles) {
      await handle.sync();
      await handle.close();
      handles.delete(name);
    }
    for (const name of names) await rename(temporary(name), joinFile(folder, name));
  } catch (cause) {
    for (const handle of handles.values()) await handle.close().catch(() => {});
    for (const name of names) await rm(temporary(name), { force: true }).catch(() => {});
    if (cause instanceof KernelwrightError) throw cause;
    throw new KernelwrightError({
      code: "KW-CHECKPOINT-WRITE",
      what: `Cannot write the checkpoint: ${messageOf(cause)}`,
      fix: "The files that were there are as they were.",
      where: { file: folder },
    }, cause);
  }
  await syncFolder(folder);
  for (const name of remove) await rm(joinFile(folder, name), { force: true });
}

// ---------------------------------------------------------------------------

async function writeAll(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** The names are safe on the disk too; some systems have no way to say so. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await fs().open(folder, "r");
    await handle.sync().finally(() => handle.close());
  } catch {
    // the files themselves are safe
  }
}
