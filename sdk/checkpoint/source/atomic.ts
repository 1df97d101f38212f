/**
 * Files that appear all at once.
 *
 *   write ──► drafts ──fsync──► journal, by one rename ──► drafts to their places ──► old files go ──► journal goes
 *
 * Before the journal is there the folder is the old checkpoint, and from then on it reads as the new one; a crash at any
 * point leaves one of the two whole. The next save finishes what a crash left, or removes its drafts.
 */
import { KernelwrightError, raise } from "../../errors.ts";
import { type FileHandle, fs, isMissing, isWithin, joinFile, messageOf } from "../../host/mod.ts";
import { draftName, isDraft, type Journal, JOURNAL_NAME, readJournal, writeJournal } from "./journal.ts";

/** Writes bytes at a position of a file that is being made. */
export type WriteAt = (name: string, bytes: Uint8Array, position: number) => Promise<void>;

/** What {@linkcode replaceFiles} does. */
export interface Replacement {
  /** The names of the new files. */
  readonly names: readonly string[];
  /** Fills them. */
  readonly write: (writeAt: WriteAt) => Promise<void>;
  /** Names of old files that must go, once the new ones are there. */
  readonly remove?: readonly string[];
}

/**
 * Finishes a save that was interrupted, and removes the drafts of those that never came so far. Nobody else may save
 * into the folder meanwhile; see {@linkcode inTurn}.
 *
 * @throws KW-CHECKPOINT-WRITE, KW-CHECKPOINT-OPEN
 */
export async function recover(folder: string): Promise<void> {
  await ours(folder, "Put the cause right, and save again.", async () => {
    const journal = await readJournal(folder);
    if (journal) await putInPlace(folder, journal, true);
    const names = await fs().readdir(folder).catch((e) => isMissing(e) ? [] : Promise.reject(e));
    for (const name of names.filter(isDraft)) await fs().rm(joinFile(folder, name), { force: true });
  });
}

/** Runs one save after the other, in the order in which they were asked for. */
export async function inTurn<T>(run: () => Promise<T>): Promise<T> {
  const mine = last.then(run);
  last = mine.then(() => {}, () => {});
  return await mine;
}

/**
 * Writes files beside the old ones and then puts them in their place. On any error the folder is as it was, and gone if
 * it was not there.
 *
 * @throws KW-CHECKPOINT-WRITE, or what `write` throws.
 */
export async function replaceFiles(
  folder: string,
  { names, write, remove = [] }: Replacement,
): Promise<void> {
  const { mkdir, open, rename, rm } = fs();
  const journal: Journal = { tag: crypto.randomUUID().slice(0, 8), files: names, remove };
  const draft = (name: string) => joinFile(folder, draftName(name, journal.tag));
  const handles = new Map<string, FileHandle>();
  let made: string | undefined;
  try {
    await ours(folder, UNCHANGED, async () => {
      made = await mkdir(folder, { recursive: true });
      for (const name of [...names, ...remove]) await checkPlace(folder, name);
      for (const name of names) handles.set(name, await open(draft(name), "wx"));
      await write((name, bytes, position) => writeAll(handles.get(name)!, bytes, position));
      handles.set(JOURNAL_NAME, await open(draft(JOURNAL_NAME), "wx"));
      await writeAll(handles.get(JOURNAL_NAME)!, writeJournal(journal), 0);
      for (const [name, handle] of handles) {
        await handle.sync();
        await handle.close();
        handles.delete(name);
      }
      await syncFolder(folder);
      await rename(draft(JOURNAL_NAME), joinFile(folder, JOURNAL_NAME));
    });
  } catch (error) {
    for (const handle of handles.values()) await handle.close().catch(() => {});
    for (const name of [...names, JOURNAL_NAME]) await rm(draft(name), { force: true }).catch(() => {});
    if (made !== undefined) await removeEmpty(folder, made);
    throw error;
  }
  await syncFolder(folder);
  await ours(
    folder,
    "All of the new files are written, and loading finds them; save again to put them in their place.",
    () => putInPlace(folder, journal, false),
  );
}

// ---------------------------------------------------------------------------

const UNCHANGED = "The files that were there are as they were.";

let last: Promise<void> = Promise.resolve();

/** @param again Whether some of it may have been done before. */
async function putInPlace(folder: string, journal: Journal, again: boolean): Promise<void> {
  const { rename, rm } = fs();
  for (const name of journal.files) {
    const place = await placeOf(folder, name);
    await rename(joinFile(folder, draftName(name, journal.tag)), place).catch((error) => {
      if (!again || !isMissing(error)) throw error;
    });
  }
  for (const name of journal.remove) await rm(await placeOf(folder, name), { force: true });
  await syncFolder(folder); // the names must be safe before the journal goes
  await rm(joinFile(folder, JOURNAL_NAME), { force: true });
  await syncFolder(folder);
}

/** What stands in a file's place must be a file: a rename over a folder would fail half-way. */
async function checkPlace(folder: string, name: string): Promise<void> {
  const place = await placeOf(folder, name);
  const found = await fs().lstat(place).catch((e) => isMissing(e) ? undefined : Promise.reject(e));
  if (!found?.isDirectory()) return;
  raise("KW-CHECKPOINT-WRITE", `Cannot write ${JSON.stringify(name)}: it is a folder`, UNCHANGED, {
    file: place,
  });
}

/** Where a file goes. A folder inside is made, and must not be a link to somewhere else. */
async function placeOf(folder: string, name: string): Promise<string> {
  const { mkdir, realpath } = fs();
  const place = joinFile(folder, name);
  const ends = [...name.matchAll(/[/\\]/g)].map((m) => m.index);
  if (ends.length === 0) return place;
  const root = await realpath(folder);
  for (const end of ends) { // one after the other: nothing is made behind a link either
    const parent = joinFile(folder, name.slice(0, end));
    await mkdir(parent, { recursive: true });
    if (isWithin(root, await realpath(parent))) continue;
    raise("KW-CHECKPOINT-WRITE", "The file's folder is a link to somewhere else", UNCHANGED, { file: place });
  }
  return place;
}

async function removeEmpty(folder: string, first: string): Promise<void> {
  const { realpath, rmdir } = fs();
  try {
    const top = await realpath(first);
    for (let at = await realpath(folder); at.startsWith(top); at = at.slice(0, at.lastIndexOf("/"))) {
      await rmdir(at);
    }
  } catch {
    // somebody has put something there
  }
}

async function ours<T>(folder: string, fix: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    if (cause instanceof KernelwrightError) throw cause;
    const what = `Cannot write the checkpoint: ${messageOf(cause)}`;
    throw new KernelwrightError({ code: "KW-CHECKPOINT-WRITE", what, fix, where: { file: folder } }, cause);
  }
}

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
