/** `kernels.lock`: the version and digests that each reference had when it was locked. */
import { checkArgument, checkFields } from "../arguments.ts";
import * as z from "zod";
import { raise } from "../errors.ts";

/** One locked reference. */
export interface LockEntry {
  /** The package's name and version. */
  readonly version: string;
  /** SHA-256 of kernel.json. */
  readonly manifest: string;
  /** SHA-256 of each file. */
  readonly files: Readonly<Record<string, string>>;
  /** Whether the user said that these very bytes may run although their publisher is not in the list. */
  readonly trusted?: boolean;
}

/** Locked references by where they lead: `https://…/kernel.js`, `jsr:@you/kernel@^1`. */
export type Lock = Map<string, LockEntry>;

/** Reads a lock; a file that is not there is an empty one. @throws KW-REF-LOCK */
export async function readLock(path: string): Promise<Lock> {
  checkArgument("readLock(): path", path, "a string");
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    raise("KW-REF-LOCK", `The lock cannot be read: ${String(error)}`, undefined, { file: path }, error);
  }
  try {
    return new Map(Object.entries(Schema.parse(JSON.parse(text)).kernels));
  } catch (cause) {
    raise("KW-REF-LOCK", "The lock cannot be read", "Restore it, or delete it and lock again.", {
      file: path,
    }, cause);
  }
}

/** Writes a lock, whole or not at all, in a stable order. @throws KW-REF-LOCK */
export async function writeLock(path: string, lock: Lock): Promise<void> {
  checkArgument("writeLock(): path", path, "a string");
  checkArgument("writeLock(): lock", lock, "a Map");
  const kernels = Object.fromEntries([...lock].sort(([a], [b]) => a < b ? -1 : 1));
  const draft = `${path}.${crypto.randomUUID()}`;
  try {
    await Deno.writeTextFile(draft, JSON.stringify({ version: 1, kernels }, null, 2) + "\n");
    await Deno.rename(draft, path);
  } catch (cause) {
    await Deno.remove(draft).catch(() => {});
    raise("KW-REF-LOCK", `The lock cannot be written: ${String(cause)}`, undefined, { file: path }, cause);
  }
}

/** Whether two entries pin the same bytes. */
export function sameEntry(a: LockEntry, b: LockEntry): boolean {
  checkFields("sameEntry(): a", a, { files: "an object" });
  checkFields("sameEntry(): b", b, { files: "an object" });
  const files = Object.keys({ ...a.files, ...b.files });
  return a.version === b.version && a.manifest === b.manifest &&
    files.every((f) => a.files[f] === b.files[f]);
}

const Digest = z.string().regex(/^[0-9a-f]{64}$/);
const Schema = z.object({
  version: z.literal(1),
  kernels: z.record(
    z.string(),
    z.object({
      version: z.string(),
      manifest: Digest,
      files: z.record(z.string(), Digest),
      trusted: z.boolean().optional(),
    }),
  ),
});
