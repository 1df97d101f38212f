/** Fetched files by their digest: what was fetched once serves offline, and cannot change. */
import { checkArgument } from "../arguments.ts";
import { hasFiles, joinFile } from "../checkpoint/files.ts";
import { userCacheFile, variable } from "../user_cache.ts";
import { sha256 } from "./digest.ts";

/** A folder of files, each named by its SHA-256. In a page, which has no files, it keeps nothing. */
export class FileCache {
  /** The folder. */
  readonly folder: string;

  /**
   * Makes one.
   *
   * @param folder Made when something is first put.
   */
  constructor(folder: string) {
    this.folder = folder;
  }

  /** The bytes with a digest; undefined where they are not there, or are no longer those. */
  async get(digest: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    checkArgument("get(): digest", digest, "a string");
    if (!hasFiles()) return undefined;
    const bytes = await Deno.readFile(joinFile(this.folder, digest)).catch(() => undefined);
    return bytes && await sha256(bytes) === digest ? bytes : undefined;
  }

  /** Keeps bytes; returns their digest. */
  async put(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
    const digest = await sha256(bytes);
    if (!hasFiles()) return digest;
    await Deno.mkdir(this.folder, { recursive: true });
    const draft = joinFile(this.folder, `.${crypto.randomUUID()}`);
    await Deno.writeFile(draft, bytes);
    await Deno.rename(draft, joinFile(this.folder, digest)); // so that no reader sees half a file
    return digest;
  }
}

/** The user's cache: `$KERNELWRIGHT_CACHE`, or `kernelwright/kernels` below the system's cache folder. */
export function defaultCacheFolder(): string {
  return variable("KERNELWRIGHT_CACHE") || (userCacheFile("kernels") ?? "kernelwright/kernels");
}
