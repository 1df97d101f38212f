/** `kernels.lock`: the version and digests that each reference had when it was locked. */
import { checkArgument, checkFields } from "../arguments.ts";
import * as z from "zod";
import { fs, isMissing, messageOf } from "../host/mod.ts";
import { raise } from "../errors.ts";

/** One locked reference. */
export interface LockEntry {
  /** The package's name and version. */
  readonly version: string;
  /** SHA-256 of kernel.json. */
  readonly manifest: string;
  /** SHA-256 of each file. */
  readonly files: Readonly<Record<string, string>>;
  /**
   * Whether who locked it said that these very bytes may run although their publisher is not in the list. It counts for
   * them alone: their configuration has the digest, too.
   */
  readonly trusted?: boolean;
}

/** Locked references by where they lead: `https://…/kernel.js`, `jsr:@you/kernel@^1`. */
export type Lock = Map<string, LockEntry>;

/**
 * Reads a lock; a file that is not there is an empty one. @throws KW-REF-LOCK
 *
 * See the example of {@linkcode writeLock}.
 */
export async function readLock(path: string): Promise<Lock> {
  checkArgument("readLock(): path", path, "a string");
  let text: string;
  try {
    text = await fs().readFile(path, "utf8");
  } catch (cause) {
    if (isMissing(cause)) return new Map();
    raise(
      "KW-REF-LOCK",
      `The lock cannot be read: ${messageOf(cause)}`,
      "Give the path of a file that you may read.",
      { file: path },
      cause,
    );
  }
  try {
    return new Map(Object.entries(Schema.parse(JSON.parse(text)).kernels));
  } catch (cause) {
    raise("KW-REF-LOCK", "The lock cannot be read", "Restore it, or delete it and lock again.", {
      file: path,
    }, cause);
  }
}

/**
 * Writes a lock, whole or not at all, in a stable order. @throws KW-REF-LOCK
 *
 * @example
 * ```ts
 * import { type Lock, lockKey, readLock, writeLock } from "@kernelwright/sdk/registry";
 * import { assertEquals } from "@std/assert";
 *
 * const digest = "0".repeat(64);
 * const entry = { version: "@you/norms 1.0.0", manifest: digest, files: { "kernel.js": digest } };
 * const lock: Lock = new Map([[lockKey("jsr:@you/norms@^1:FastNorm"), entry]]);
 * await writeLock("kernels.lock", lock);
 * assertEquals(await readLock("kernels.lock"), lock);
 * ```
 */
export async function writeLock(path: string, lock: Lock): Promise<void> {
  checkArgument("writeLock(): path", path, "a string");
  checkArgument("writeLock(): lock", lock, "a Map");
  const kernels = Object.fromEntries([...lock].sort(([a], [b]) => a < b ? -1 : 1));
  const draft = `${path}.${crypto.randomUUID()}`;
  const { rename, rm, writeFile } = fs();
  try {
    await writeFile(draft, JSON.stringify({ version: 1, kernels }, null, 2) + "\n", { flag: "wx" });
    await rename(draft, path);
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => {});
    raise(
      "KW-REF-LOCK",
      `The lock cannot be written: ${messageOf(cause)}`,
      "Give --lock a file in a folder that can be written.",
      { file: path },
      cause,
    );
  }
}

/**
 * Whether two entries pin the same bytes.
 *
 * @example
 * ```ts
 * import { type LockEntry, sameEntry } from "@kernelwright/sdk/registry";
 * import { assertEquals } from "@std/assert";
 *
 * const entry: LockEntry = { version: "@you/norms 1.0.0", manifest: "ab12", files: { "kernel.js": "cd34" } };
 * assertEquals(sameEntry(entry, { ...entry, files: { "kernel.js": "cd35" } }), false);
 * ```
 */
export function sameEntry(a: LockEntry, b: LockEntry): boolean {
  checkFields("sameEntry(): a", a, { files: "an object" });
  checkFields("sameEntry(): b", b, { files: "an object" });
  const [these, those] = [a, b].map(({ files }) => JSON.stringify(Object.entries(files).sort()));
  return a.version === b.version && a.manifest === b.manifest && these === those;
}

const Digest = z.string().regex(/^[0-9a-f]{64}$/);
const Schema = z.strictObject({
  version: z.literal(1),
  kernels: z.record(
    z.string(),
    z.strictObject({
      version: z.string(),
      manifest: Digest,
      files: z.record(z.string(), Digest),
      trusted: z.boolean().optional(),
    }),
  ),
});
