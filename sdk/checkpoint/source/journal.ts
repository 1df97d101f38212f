/**
 * What a save that was interrupted left behind, and how it reads as a whole.
 *
 *   .kernelwright-save.json   {"version":1,"tag":"1a2b3c4d","files":["config.json",…],"remove":["kernels.json",…]}
 *   .config.json.1a2b3c4d.tmp, …
 *
 * Several renames are not one step. So a save writes all of its drafts, and then this journal, in one rename: from then
 * on the new files count, wherever they are. A reader takes a draft where there is one, and otherwise the file in its
 * place; it needs no right to write. The next save finishes the renames.
 */
import * as z from "zod";
import { raise } from "../../errors.ts";
import { fs, isMissing, joinFile, messageOf } from "../../host/mod.ts";

/** The journal's name. It is there only while a save puts its files into place. */
export const JOURNAL_NAME = ".kernelwright-save.json";

/** A save whose files are all written, and not all in their place. */
export interface Journal {
  /** Tells its drafts from those of other saves. */
  readonly tag: string;
  /** The files that it writes. */
  readonly files: readonly string[];
  /** The files that must go. */
  readonly remove: readonly string[];
}

/** The name of a file's draft. It lies in the folder itself, also where the file does not. */
export function draftName(name: string, tag: string): string {
  return `.${name.replaceAll(/[/\\]/g, "+")}.${tag}.tmp`;
}

/** Whether a file is the draft of a save. */
export function isDraft(name: string): boolean {
  return /^\..+\.[0-9a-f]{8}\.tmp$/.test(name);
}

/** The journal as it is written. */
export function writeJournal({ tag, files, remove }: Journal): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ version: 1, tag, files, remove })}\n`);
}

/**
 * The journal of a folder; undefined where no save was interrupted.
 *
 * @throws KW-CHECKPOINT-OPEN where it cannot be read or understood: then nobody knows which files belong together.
 */
export async function readJournal(folder: string): Promise<Journal | undefined> {
  const file = joinFile(folder, JOURNAL_NAME);
  let cause: unknown;
  try {
    const { lstat, readFile } = fs();
    const found = await lstat(file);
    if (found.isFile() && found.size <= MOST_BYTES) {
      const parsed = Schema.safeParse(JSON.parse(await readFile(file, "utf-8")));
      if (parsed.success) return parsed.data;
      cause = parsed.error;
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    cause = error;
  }
  return raise(
    "KW-CHECKPOINT-OPEN",
    `A save into this folder was interrupted, and its journal cannot be used${
      cause ? `: ${messageOf(cause)}` : ""
    }`,
    "Save the model again into an empty folder.",
    { file },
    cause,
  );
}

/** The file of the folder that holds `name` now, seen through the journal; undefined where the save removes it. */
export function currentNames(name: string, journal: Journal | undefined): readonly string[] {
  if (!journal) return [name];
  if (journal.files.includes(name)) return [draftName(name, journal.tag), name];
  return journal.remove.includes(name) ? [] : [name];
}

// ---------------------------------------------------------------------------

const MOST_BYTES = 16 * 1024 * 1024;

/** A stranger's journal must not lead out of its folder. */
const Name = z.string().refine(
  (name) => !/[\0:]/.test(name) && name.split(/[/\\]/).every((s) => s !== "" && s !== "." && s !== ".."),
  "a name leads out of the folder",
);
const Schema = z.object({
  version: z.literal(1),
  tag: z.string().regex(/^[0-9a-f]{8}$/),
  files: z.array(Name),
  remove: z.array(Name),
});
