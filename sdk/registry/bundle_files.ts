/** The files of a bundle, from wherever they are, with every digest checked. */
import { raise } from "../errors.ts";
import { sha256 } from "./digest.ts";
import type { FileCache } from "./cache.ts";
import { fetchBytes, type FetchLimits } from "./fetch.ts";
import type { LockEntry } from "./lock.ts";
import { type Manifest, MANIFEST_FILE, parseManifest } from "./manifest.ts";

/** A bundle whose digests hold. */
export interface Bundle {
  /** Its description. */
  readonly manifest: Manifest;
  /** What a lock says of it. */
  readonly entry: LockEntry;
  /** The files by name. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
}

/** Where bytes come from. */
export interface Source {
  /** The cache. */
  readonly cache: FileCache;
  /** Bounds. */
  readonly limits?: FetchLimits;
  /** Whether only the cache may be used. */
  readonly offline?: boolean;
}

/**
 * Reads a bundle's description.
 *
 * @param url Of its entry: `https://…/kernel.js`, `file:///…/kernel.js`. `kernel.json` lies beside it.
 * @param locked What the lock says: then nothing else is taken, and the cache is asked first.
 * @throws KW-REF-LOCK, KW-REF-FETCH, KW-REF-LIMIT, KW-REF-MANIFEST, KW-REF-ESCAPES.
 */
export async function readManifest(
  url: URL,
  source: Source,
  locked?: LockEntry,
): Promise<{ manifest: Manifest; digest: string }> {
  const at = new URL(MANIFEST_FILE, url);
  const bytes = await bytesOf(at, source, locked?.manifest);
  const digest = await sha256(bytes);
  if (locked && digest !== locked.manifest) {
    raise(
      "KW-REF-LOCK",
      `kernel.json is another one than the lock has (${digest.slice(0, 12)}…, and not ${
        locked.manifest.slice(0, 12)
      }…)`,
      "If the change is wanted, lock again.",
      { file: at.href },
    );
  }
  return { manifest: parseManifest(new TextDecoder().decode(bytes), at.href), digest };
}

/**
 * Reads a bundle's files.
 *
 * @throws KW-REF-DIGEST when a byte differs, and what {@linkcode readManifest} throws.
 */
export async function readBundle(
  url: URL,
  source: Source,
  { manifest, digest }: { manifest: Manifest; digest: string },
): Promise<Bundle> {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const [name, { bytes: size, sha256: wanted }] of Object.entries(manifest.files)) {
    const at = new URL(name, url);
    const bytes = await bytesOf(at, source, wanted);
    const got = await sha256(bytes);
    if (got !== wanted || bytes.length !== size) {
      raise(
        "KW-REF-DIGEST",
        `"${name}" is not the file that was published: ${bytes.length} bytes, SHA-256 ${
          got.slice(0, 12)
        }…; ` +
          `kernel.json has ${size} bytes, ${wanted.slice(0, 12)}…`,
        "Do not use it; fetch it again, or tell its publisher.",
        { file: at.href },
      );
    }
    files.set(name, bytes);
  }
  // Kept only now that all of it holds.
  for (const bytes of files.values()) await source.cache.put(bytes);
  const entry: LockEntry = {
    version: `${manifest.name}@${manifest.version}`,
    manifest: digest,
    files: Object.fromEntries(Object.entries(manifest.files).map(([name, f]) => [name, f.sha256])),
  };
  return { manifest, entry, files };
}

// ---------------------------------------------------------------------------

async function bytesOf(url: URL, source: Source, digest?: string): Promise<Uint8Array<ArrayBuffer>> {
  if (url.protocol === "file:") {
    return await Deno.readFile(url).catch((cause) =>
      raise("KW-REF-FETCH", `Cannot read ${url.pathname}`, undefined, { file: url.href }, cause)
    );
  }
  const known = digest && await source.cache.get(digest);
  if (known) return known;
  if (source.offline) {
    raise(
      "KW-REF-FETCH",
      `${url.href} is not in the cache, and the network may not be used`,
      "Fetch it once.",
      {
        file: url.href,
      },
    );
  }
  const bytes = await fetchBytes(url, source.limits);
  if (url.pathname.endsWith(`/${MANIFEST_FILE}`)) await source.cache.put(bytes);
  return bytes;
}
