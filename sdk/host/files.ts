/** Files, through `node:fs/promises`, which Deno, Node.js and Bun all have. Asked for when needed: pages have none. */
import type { FileHandle } from "node:fs/promises";
import { raise } from "../errors.ts";
import { builtin } from "./host.ts";

export type { FileHandle };

/** The file functions. */
export type Files = typeof import("node:fs/promises");

/**
 * The file functions of this runtime.
 *
 * @throws KW-CHECKPOINT-OPEN where there are none.
 */
export function fs(): Files {
  return builtin("node:fs/promises") ?? noFiles();
}

/** Whether this runtime has files. */
export function hasFiles(): boolean {
  return builtin("node:fs/promises") !== undefined;
}

/** The path of a `file:` URL. @throws KW-CHECKPOINT-OPEN where there are no files. */
export function pathOfFileUrl(url: URL | string): string {
  return (builtin("node:url") ?? noFiles()).fileURLToPath(url);
}

/** The `file:` URL of a path. @throws KW-CHECKPOINT-OPEN where there are no files. */
export function fileUrlOfPath(path: string): URL {
  return (builtin("node:url") ?? noFiles()).pathToFileURL(path);
}

/** Whether an error says that a file is not there. */
export function isMissing(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** An error's message, without the stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `folder/name`. */
export function joinFile(folder: string, name: string): string {
  return folder === "" || folder.endsWith("/") ? folder + name : `${folder}/${name}`;
}

/** Whether a real path is that of a folder, or of something in it: `/x/model2` is not in `/x/model`. */
export function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(joinFile(folder, "")) || path.startsWith(`${folder}\\`);
}

// ---------------------------------------------------------------------------

function noFiles(): never {
  return raise(
    "KW-CHECKPOINT-OPEN",
    "Cannot use files: this runtime has none",
    "Give an address, the files that a user picked, or a source: bytesSource(…) or blobSource(…).",
  );
}
