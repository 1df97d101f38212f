/** Fetched files by their digest: what was fetched once serves offline, and cannot change. */
import { checkArgument } from "../arguments.ts";
import { fs, hasFiles, joinFile, messageOf, userCacheFile, variable } from "../host/mod.ts";
import { raise } from "../errors.ts";
import { sha256 } from "./digest.ts";

/**
 * A folder of files, each named by its SHA-256. In a page, which has no files, it keeps nothing.
 *
 * @example
 * ```ts
 * import { FileCache } from "@kernelwright/sdk/registry";
 * import { assertEquals } from "@std/assert";
 *
 * const cache = new FileCache("./kernel-cache");
 * const digest = await cache.put(new TextEncoder().encode("code"), "https://kernels.example/kernel.js");
 * assertEquals(new TextDecoder().decode(await cache.get(digest)), "code");
 * ```
 */
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
    const bytes = await this.#read(digest);
    return bytes && await sha256(bytes) === digest ? bytes : undefined;
  }

  /** Whether the bytes with a digest were once put as coming from an address. */
  async cameFrom(href: string, digest: string): Promise<boolean> {
    return await this.#read(await originName(href, digest)) !== undefined;
  }

  /**
   * Keeps bytes; returns their digest.
   *
   * @param href Where they came from, if that is to be remembered.
   * @throws KW-REF-CACHE
   */
  async put(bytes: Uint8Array<ArrayBuffer>, href?: string): Promise<string> {
    const digest = await sha256(bytes);
    if (!hasFiles()) return digest;
    if (!await this.get(digest)) await this.#write(digest, bytes);
    if (href !== undefined && !await this.cameFrom(href, digest)) {
      await this.#write(await originName(href, digest), new TextEncoder().encode(`${href}\n`));
    }
    return digest;
  }

  /** A file's bytes. What is not a plain file is not there: it could lead anywhere, and never end. */
  async #read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (!hasFiles()) return undefined;
    const path = joinFile(this.folder, name);
    const { lstat, readFile } = fs();
    try {
      return (await lstat(path)).isFile() ? new Uint8Array(await readFile(path)) : undefined;
    } catch {
      return undefined;
    }
  }

  /** Whole or not at all: a draft of a name of its own, moved into place. A link there is replaced, not followed. */
  async #write(name: string, bytes: Uint8Array): Promise<void> {
    const { mkdir, rename, rm, writeFile } = fs();
    const draft = joinFile(this.folder, `.${crypto.randomUUID()}`);
    try {
      await mkdir(this.folder, { recursive: true });
      await writeFile(draft, bytes, { flag: "wx" });
      await rename(draft, joinFile(this.folder, name));
    } catch (cause) {
      await rm(draft, { force: true }).catch(() => {});
      raise(
        "KW-REF-CACHE",
        `Cannot write into the cache of kernels: ${messageOf(cause)}`,
        "Set KERNELWRIGHT_CACHE to a folder that can be written.",
        { file: this.folder },
        cause,
      );
    }
  }
}

/**
 * The user's cache: `$KERNELWRIGHT_CACHE`, or `kernelwright/kernels` below the system's cache folder.
 *
 * @example
 * ```ts
 * import { defaultCacheFolder, FileCache } from "@kernelwright/sdk/registry";
 *
 * const cache = new FileCache(defaultCacheFolder());
 * console.log(cache.folder);
 * ```
 */
export function defaultCacheFolder(): string {
  return variable("KERNELWRIGHT_CACHE") || (userCacheFile("kernels") ?? "kernelwright/kernels");
}

// ---------------------------------------------------------------------------

async function originName(href: string, digest: string): Promise<string> {
  checkArgument("FileCache: href", href, "a string");
  checkArgument("FileCache: digest", digest, "a string");
  return `from-${await sha256(new Uint8Array(new TextEncoder().encode(`${href}\n${digest}`)))}`;
}
