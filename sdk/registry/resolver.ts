/**
 * References to kernels that are not in a folder of this machine.
 *
 *   reference ─► trusted? ─► kernel.json ─► the lock's? ─► fits the model? ─► files ─► digests ─► import ─► as it said?
 *
 * Nothing of a stranger's code runs before the last arrow but one.
 */
import { type KernelClass, kernelDefinition } from "../authoring/mod.ts";
import { didYouMean, raise } from "../errors.ts";
import { exported, type RefPurpose, type RefResolver, resolveLocal, splitRef } from "../kernelize/mod.ts";
import { type Bundle, readBundle, readManifest, type Source } from "./bundle_files.ts";
import { defaultCacheFolder, FileCache } from "./cache.ts";
import type { FetchLimits } from "./fetch.ts";
import { type Lock, readLock, sameEntry, writeLock } from "./lock.ts";
import { checkAgainstCode, checkAgainstModel } from "./signature.ts";
import { checkTrust, type Trust } from "./trust.ts";

/** What {@linkcode kernelResolver} may be told. */
export interface ResolverOptions extends Trust {
  /** The lock's path. With one, a reference that is not in it is refused unless `update` is set. */
  readonly lock?: string;
  /** Writes what was resolved into the lock. */
  readonly update?: boolean;
  /** The cache's folder; the user's unless told. */
  readonly cache?: string;
  /** Whether only the cache may be used. */
  readonly offline?: boolean;
  /** Bounds for servers. */
  readonly limits?: FetchLimits;
}

/**
 * A resolver for `kernelize`: local folders and files, `https://…/kernel.js:Name` (http on this machine), and
 * `jsr:` and `npm:` packages through the runtime's own client.
 *
 * ```ts ignore
 * await kernelize(model, config, { resolver: kernelResolver({ lock: "kernels.lock", publishers: ["jsr:@you/"] }) });
 * ```
 */
export function kernelResolver(options: ResolverOptions = {}): RefResolver {
  return async (ref, base, purpose) => {
    const { where, name } = splitRef(ref);
    if (/^(jsr|npm):/.test(where)) return await fromPackage(where, name, ref, options);
    if (/^https?:/.test(where)) return await fromUrl(new URL(where), name, { ref, purpose }, options);
    return await resolveLocal(ref, base, purpose);
  };
}

/**
 * Reads what a reference leads to, with every digest checked, and runs none of it.
 *
 * @throws what {@linkcode kernelResolver} throws before it imports.
 */
export async function inspectReference(ref: string, options: ResolverOptions = {}): Promise<Bundle> {
  const url = bundleUrl(ref);
  const source = sourceOf(options);
  const locked = options.lock ? (await readLock(options.lock)).get(url.href) : undefined;
  return await readBundle(url, source, await readManifest(url, source, options.update ? undefined : locked));
}

/** The URL of a bundle's entry: an https reference, or a folder of this machine that has a bundle. */
export function bundleUrl(ref: string): URL {
  const where = /^(https?:|file:)/.test(ref) && !/:[A-Za-z_$][\w$]*$/.test(ref) ? ref : splitRef(ref).where;
  if (/^https?:|^file:/.test(where)) return new URL(where);
  const folder = new URL(`file://${Deno.cwd()}/`);
  return new URL(/\.js$/.test(where) ? where : `${where.replace(/\/?$/, "/")}kernel.js`, folder);
}

// ---------------------------------------------------------------------------

function sourceOf({ cache, limits, offline }: ResolverOptions): Source {
  return { cache: new FileCache(cache ?? defaultCacheFolder()), limits, offline };
}

async function fromUrl(
  url: URL,
  name: string,
  { ref, purpose }: { ref: string; purpose?: RefPurpose },
  options: ResolverOptions,
): Promise<KernelClass> {
  checkTrust(url.href, options);
  const lock: Lock = options.lock ? await readLock(options.lock) : new Map();
  const locked = options.update ? undefined : lock.get(url.href);
  if (options.lock && !locked && !options.update) {
    raise("KW-REF-LOCK", `${url.href} is not in the lock`, "Lock it first.", { file: options.lock });
  }
  const source = sourceOf(options);
  const read = await readManifest(url, source, locked);
  const kernel = Object.hasOwn(read.manifest.kernels, name) ? read.manifest.kernels[name] : raise(
    "KW-REF-EXPORT",
    `${url.href} has no kernel "${name}"`,
    didYouMean(name, Object.keys(read.manifest.kernels)),
  );
  if (purpose) checkAgainstModel(kernel, ref, purpose);
  const bundle = await readBundle(url, source, read);
  if (options.update && options.lock) {
    const before = lock.get(url.href);
    if (!before || !sameEntry(before, bundle.entry)) {
      await writeLock(options.lock, lock.set(url.href, bundle.entry));
    }
  }
  const cls = exported(await importBundle(bundle, source), name, ref);
  checkAgainstCode(kernel, kernelDefinition(cls), ref);
  return cls;
}

/** Imports the very bytes whose digest was checked: from the cache, under a name of their own. */
async function importBundle(bundle: Bundle, source: Source): Promise<Record<string, unknown>> {
  const { manifest, entry, files } = bundle;
  const folder = `${source.cache.folder}/${entry.manifest}.d`;
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, bytes] of files) await Deno.writeFile(`${folder}/${name}`, bytes);
  return await import(new URL(`file://${await Deno.realPath(folder)}/${manifest.entry}`).href);
}

async function fromPackage(
  where: string,
  name: string,
  ref: string,
  options: ResolverOptions,
): Promise<KernelClass> {
  checkTrust(where, options);
  if (options.offline) {
    raise("KW-REF-FETCH", `${where} needs the runtime's client, which may fetch`, undefined, { file: where });
  }
  const exact = /^(jsr|npm):@?[^@]+@\d+\.\d+\.\d+[^/]*(\/.*)?$/.test(where);
  if (options.lock && !exact) {
    raise(
      "KW-REF-LOCK",
      `${where} is no exact version`,
      "Write the whole version, as in jsr:@you/kernel@1.2.3; the runtime's own lock holds its digests.",
      { file: options.lock },
    );
  }
  return exported(await import(where), name, ref);
}
