/** Files, through `node:fs/promises`, which Deno, Node.js and Bun all have. Loaded when needed: browsers have none. */
import type { FileHandle } from "node:fs/promises";
import { raise } from "../errors.ts";

export type { FileHandle };

/** The file functions. */
export type Files = typeof import("node:fs/promises");

/**
 * The file functions of this runtime.
 *
 * @throws KW-CHECKPOINT-OPEN where there are none.
 */
export async function fs(): Promise<Files> {
  try {
    return await import("node:fs/promises");
  } catch (cause) {
    return raise(
      "KW-CHECKPOINT-OPEN",
      "Cannot use files: this runtime has none",
      "Read the bytes yourself and give a source: bytesSource(…) or blobSource(…).",
      undefined,
      cause,
    );
  }
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
