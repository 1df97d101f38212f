/** The files of a bundle, from wherever they are, with every digest checked. */
import { checkFields, checkInstance } from "../arguments.ts";
import { fs } from "../host/mod.ts";
import { raise } from "../errors.ts";
import { sha256 } from "./digest.ts";
import type { FileCache } from "./cache.ts";
import { type Reach, reachesOutside } from "./closed.ts";
import { fetchBytes, type FetchLimits } from "./fetch.ts";
import { type LockEntry, sameEntry } from "./lock.ts";
import { type Manifest, MANIFEST_FILE, parseManifest } from "./manifest.ts";

/** A bundle whose digests hold. */
export interface Bundle {
  /** Its description. */
  readonly manifest: Manifest;
  /** What a lock says of it. */
  readonly entry: LockEntry;
  /** The files by name. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** What its code would load that no digest covers. Where there is any, it is not run. */
  readonly reaches: readonly Reach[];
}

/** Where a bundle lies. */
export interface Origin {
  /** Its address: what the lock calls it, and errors name. */
  readonly href: string;
  /** Whether it is on this machine: then the cache is not asked. */
  readonly local?: boolean;
  /** The bytes of one of its files. `digest` is what they should have; whether they do is seen to elsewhere. */
  read(name: string, digest?: string): Promise<Uint8Array<ArrayBuffer>>;
}

/** Where bytes are looked for first, and whether further. */
export interface Source {
  /** The cache. */
  readonly cache: FileCache;
  /** Whether only the cache may be used. */
  readonly offline?: boolean;
}

/**
 * A bundle at a URL of its entry: `https://…/kernel.js`, `file:///…/kernel.js`. Its other files lie beside it.
 *
 * See the example of {@linkcode readBundle}.
 */
export function urlOrigin(url: URL, limits?: FetchLimits): Origin {
  checkInstance("urlOrigin(): url", url, URL);
  const local = url.protocol === "file:";
  return {
    href: url.href,
    local,
    async read(name) {
      const at = new URL(name, url);
      if (!local) return await fetchBytes(at, limits);
      return await fs().readFile(at).then((b) => new Uint8Array(b), (cause) =>
        raise(
          "KW-REF-FETCH",
          `Cannot read ${decodeURIComponent(at.pathname)}`,
          "Make the bundle with `bundle`.",
          { file: at.href },
          cause,
        ));
    },
  };
}

/**
 * Reads a bundle's description.
 *
 * See the example of {@linkcode readBundle}.
 *
 * @param locked What the lock says: then nothing else is taken, and the cache is asked first.
 * @throws KW-REF-LOCK, KW-REF-FETCH, KW-REF-LIMIT, KW-REF-MANIFEST, KW-REF-ESCAPES.
 */
export async function readManifest(
  origin: Origin,
  source: Source,
  locked?: LockEntry,
): Promise<{ manifest: Manifest; digest: string }> {
  checkOrigin("readManifest()", origin, source);
  if (locked !== undefined) checkFields("readManifest(): locked", locked, { manifest: "a string" });
  // Bytes in the cache are this reference's only where they once came from there: a lock could name a stranger's.
  const known = locked && await source.cache.cameFrom(origin.href, locked.manifest);
  const bytes = await bytesOf(origin, MANIFEST_FILE, source, known ? locked.manifest : undefined);
  const digest = await sha256(bytes);
  if (locked && digest !== locked.manifest) {
    raise(
      "KW-REF-LOCK",
      `kernel.json is another one than the lock has (${digest.slice(0, 12)}…, and not ${
        locked.manifest.slice(0, 12)
      }…)`,
      "If the change is wanted, lock again.",
      { file: origin.href },
    );
  }
  const manifest = parseManifest(new TextDecoder().decode(bytes), origin.href);
  if (locked && !sameEntry(locked, entryOf(manifest, digest))) {
    raise(
      "KW-REF-LOCK",
      "The lock's version, files or digests are not those of the kernel.json that it names",
      "Somebody changed the lock. If you trust the kernel, lock it again.",
      { file: origin.href },
    );
  }
  if (!origin.local) await source.cache.put(bytes, origin.href);
  return { manifest, digest };
}

/**
 * Reads a bundle's files.
 *
 * @throws KW-REF-DIGEST when a byte differs, and what {@linkcode readManifest} throws.
 *
 * @example
 * ```ts
 * import { FileCache, readBundle, readManifest, urlOrigin } from "@kernelwright/sdk/registry";
 * import { toFileUrl } from "@std/path";
 * import { assertEquals } from "@std/assert";
 *
 * // What `dev bundle fast-norm` made.
 * const origin = urlOrigin(toFileUrl(`${Deno.cwd()}/fast-norm/dist/kernel.js`));
 * const source = { cache: new FileCache("./kernel-cache") };
 * const bundle = await readBundle(origin, source, await readManifest(origin, source)); // nothing of it runs
 * assertEquals([...bundle.files.keys()], ["kernel.js"]);
 * ```
 */
export async function readBundle(
  origin: Origin,
  source: Source,
  read: { readonly manifest: Manifest; readonly digest: string },
): Promise<Bundle> {
  checkOrigin("readBundle()", origin, source);
  checkFields("readBundle(): read", read, { manifest: "an object", digest: "a string" });
  checkFields("readBundle(): manifest", read.manifest, { files: "an object" });
  for (const file of Object.values(read.manifest.files)) {
    checkFields("readBundle(): a file of the manifest", file, { bytes: "a count", sha256: "a string" });
  }
  const { manifest, digest } = read;
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const sizes = Object.values(manifest.files).map((f) => f.bytes);
  const total = sizes.reduce((a, b) => a + b, 0);
  if (sizes.length > MOST_FILES || total > MOST_BYTES) {
    raise(
      "KW-REF-LIMIT",
      `The bundle has ${sizes.length} files of ${total} bytes; it may have ${MOST_FILES} of ${MOST_BYTES}`,
      undefined,
      { file: origin.href },
    );
  }
  for (const [name, { bytes: size, sha256: wanted }] of Object.entries(manifest.files)) {
    const bytes = await bytesOf(origin, name, source, wanted);
    const got = await sha256(bytes);
    if (got !== wanted || bytes.length !== size) {
      raise(
        "KW-REF-DIGEST",
        `"${name}" is not the file that was published: ${bytes.length} bytes, SHA-256 ${
          got.slice(0, 12)
        }…; ` +
          `kernel.json has ${size} bytes, ${wanted.slice(0, 12)}…`,
        "Do not use it; fetch it again, or tell its publisher.",
        { file: origin.href },
      );
    }
    files.set(name, bytes);
  }
  // Kept only now that all of it holds.
  if (!origin.local) { for (const bytes of files.values()) await source.cache.put(bytes); }
  const reaches = reachesOutside(files, manifest.entry);
  return { manifest, entry: entryOf(manifest, digest), files, reaches };
}

// ---------------------------------------------------------------------------

/** Far more than a bundle has. */
const [MOST_FILES, MOST_BYTES] = [256, 256 * 1024 * 1024];

function entryOf(manifest: Manifest, digest: string): LockEntry {
  return {
    version: `${manifest.name}@${manifest.version}`,
    manifest: digest,
    files: Object.fromEntries(Object.entries(manifest.files).map(([name, f]) => [name, f.sha256])),
  };
}

// ---------------------------------------------------------------------------

function checkOrigin(at: string, origin: Origin, source: Source): void {
  checkFields(`${at}: origin`, origin, { href: "a string", read: "a function" });
  checkFields(`${at}: source`, source, { cache: "an object" });
  checkFields(`${at}: source.cache`, source.cache, { get: "a function", put: "a function" });
}

async function bytesOf(
  origin: Origin,
  name: string,
  { cache, offline }: Source,
  digest?: string,
): Promise<Uint8Array<ArrayBuffer>> {
  if (origin.local) return await origin.read(name, digest);
  const known = digest && await cache.get(digest);
  if (known) return known;
  if (offline) {
    raise(
      "KW-REF-FETCH",
      `"${name}" of ${origin.href} is not in the cache, and the network may not be used`,
      "Fetch it once.",
      { file: origin.href },
    );
  }
  return await origin.read(name, digest);
}
