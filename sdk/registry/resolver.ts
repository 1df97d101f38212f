/**
 * References to kernels: sources and bundles on this machine, and bundles from elsewhere.
 *
 *   reference ─► trusted? ─► kernel.json ─► the lock's? ─► fits the model? ─► files ─► digests ─► closed? ─► import ─► as it said?
 *
 * Nothing of a stranger's code runs before the last arrow but one.
 */
import { checkArgument } from "../arguments.ts";
import { type KernelClass, kernelDefinition } from "../authoring/mod.ts";
import { fileUrlOfPath, fs, hasFiles, joinFile } from "../host/mod.ts";
import { didYouMean, raise } from "../errors.ts";
import {
  besideAddress,
  exported,
  findLocal,
  isLocalPath,
  localPath,
  type RefPurpose,
  type RefResolver,
  splitRef,
} from "../kernelize/mod.ts";
import {
  type Bundle,
  type Origin,
  readBundle,
  readManifest,
  type Source,
  urlOrigin,
} from "./bundle_files.ts";
import { defaultCacheFolder, FileCache } from "./cache.ts";
import type { FetchLimits } from "./fetch.ts";
import { type Lock, type LockEntry, readLock, sameEntry, writeLock } from "./lock.ts";
import { type Manifest, MANIFEST_FILE, parseManifest } from "./manifest.ts";
import { parsePackage } from "./package_spec.ts";
import { packageOrigin } from "./packages.ts";
import type { Registries } from "./registries.ts";
import { runBundle } from "./run_bundle.ts";
import { checkSdkRange } from "./sdk_range.ts";
import { checkAgainstCode, checkAgainstModel } from "./signature.ts";
import { checkTrust, type Trust } from "./trust.ts";
import { isTrustedByUser, keepTrust } from "./user_config.ts";

/** Options of {@linkcode kernelResolver}. */
export interface ResolverOptions extends Trust {
  /** The lock's path. With one, a reference that is not in it is refused unless `update` is set. */
  readonly lock?: string;
  /** Writes what was resolved into the lock. */
  readonly update?: boolean;
  /** The cache's folder; defaults to the user's. */
  readonly cache?: string;
  /** Whether only the cache may be used. */
  readonly offline?: boolean;
  /** Bounds for servers. */
  readonly limits?: FetchLimits;
  /** Where packages are; defaults to what the environment says. */
  readonly registries?: Registries;
  /** The user's configuration, which has what they locked with trust; defaults to the usual file. */
  readonly config?: string;
}

/**
 * A resolver for `kernelize`: folders with sources or a bundle, files, `https://…/kernel.js:Name` (http on this
 * machine), and bundles in packages, `jsr:@scope/name@^1:Name` and `npm:name@1:Name`. A path in a kernels.json that came
 * from an address leads to a bundle there.
 *
 * In a page there are no lock and no cache, and a bundle finds the SDK by the page's import map.
 *
 * ```ts ignore
 * await kernelize(model, config, { resolver: kernelResolver({ lock: "kernels.lock", publishers: ["jsr:@you/"] }) });
 * ```
 *
 * @throws KW-REF-UNTRUSTED, KW-REF-LOCK, KW-REF-DIGEST, KW-REF-SIGNATURE, KW-REF-FETCH, KW-REF-LIMIT, KW-REF-ESCAPES,
 * KW-REF-MANIFEST, KW-REF-REGISTRY, KW-REF-VERSION, KW-REF-EXPORT, KW-REF-SYNTAX, KW-REF-MISSING: the resolver does.
 */
export function kernelResolver(options: ResolverOptions = {}): RefResolver {
  return async (ref, base, purpose) => {
    const { where: written, name } = splitRef(ref);
    const where = besideConfig(written, base);
    if (isRemote(where)) return await fromElsewhere(where, { ref, name, purpose }, options);
    const url = await findLocal(ref, base);
    if (!await isBundle(url)) return exported(await import(url.href), name, ref);
    return await load(urlOrigin(url), { ref, name, purpose }, sourceOf(options));
  };
}

/**
 * Reads what a reference leads to, with every digest checked, and runs none of it.
 *
 * @param ref A reference, with or without a kernel's name.
 * @throws what {@linkcode kernelResolver} throws before it imports.
 */
export async function inspectReference(ref: string, options: ResolverOptions = {}): Promise<Bundle> {
  checkArgument("inspectReference(): ref", ref, "a string");
  checkArgument("inspectReference(): options", options, "an object");
  const where = withoutName(ref);
  const source = sourceOf(options);
  if (!isRemote(where)) {
    const origin = urlOrigin(localBundle(where));
    return await readBundle(origin, source, await readManifest(origin, source));
  }
  const lock = options.lock && !options.update ? await readLock(options.lock) : undefined;
  const locked = lock?.get(keyOf(where).href);
  const origin = originOf(where, options, locked);
  return await readBundle(origin, source, await readManifest(origin, source, locked));
}

/** Whether a reference leads away from this machine's folders, so that it is locked and its publisher matters. */
export function isRemote(where: string): boolean {
  checkArgument("isRemote(): where", where, "a string");
  return /^(https?|jsr|npm):/.test(where);
}

/** What the lock calls a reference from elsewhere, with or without a kernel's name. @throws KW-REF-SYNTAX */
export function lockKey(ref: string): string {
  checkArgument("lockKey(): ref", ref, "a string");
  return keyOf(withoutName(ref)).href;
}

// ---------------------------------------------------------------------------

interface Wanted {
  readonly ref: string;
  readonly name: string;
  readonly purpose?: RefPurpose;
}

/** A reference's place. A port has digits, so it is not a name. */
function withoutName(ref: string): string {
  const named = /.:[A-Za-z_$][\w$]*$/.test(ref.replace(/^(https?|file|jsr|npm):/, ""));
  return named ? splitRef(ref).where : ref;
}

/** What a path means in a config from an address: a file or a folder beside it, never one of this machine's. */
function besideConfig(where: string, base: URL | undefined): string {
  if (!/^https?:$/.test(base?.protocol ?? "") || !isLocalPath(where)) return where;
  return besideAddress(/(\.m?js|\/)$/.test(where) ? where : `${where}/`, base!).href;
}

function sourceOf({ cache, offline }: ResolverOptions): Source {
  return { cache: new FileCache(cache ?? (hasFiles() ? defaultCacheFolder() : "")), offline };
}

/** What the lock calls a reference, and how its publisher's references begin. */
function keyOf(where: string): { href: string; publisher: string } {
  if (/^https?:/.test(where)) {
    if (!URL.canParse(where)) {
      raise("KW-REF-SYNTAX", `${JSON.stringify(where)} is not an address`, "Write https://…/kernel.js:Name.");
    }
    const { href, pathname } = new URL(where);
    if (/%(2f|5c|2e)/i.test(pathname)) { // a server may take it for a way out of a trusted folder
      raise("KW-REF-ESCAPES", `${href} has a slash or a dot that is hidden in its path`, undefined, {
        file: href,
      });
    }
    return { href, publisher: href };
  }
  const { href, registry, name } = parsePackage(where);
  return { href, publisher: `${registry}:${name}/` };
}

function originOf(where: string, { registries, limits }: ResolverOptions, locked?: LockEntry): Origin {
  if (/^https?:/.test(where)) return urlOrigin(new URL(where), limits);
  return packageOrigin(parsePackage(where), { registries, limits }, locked?.version.split("@").at(-1));
}

async function fromElsewhere(where: string, wanted: Wanted, options: ResolverOptions): Promise<KernelClass> {
  const { href, publisher } = keyOf(where);
  if (options.lock && !hasFiles()) {
    raise("KW-REF-LOCK", "There is no lock here: this runtime has no files", "Leave `lock` away.", {
      file: href,
    });
  }
  const lock: Lock = options.lock ? await readLock(options.lock) : new Map();
  const before = lock.get(href);
  const locked = options.update ? undefined : before;
  // What this user locked with trust has that trust, and nothing else has. The lock may be anybody's.
  const trusted = async (entry: LockEntry) =>
    entry.trusted === true && await isTrustedByUser(entry.manifest, options.config);
  const voucher = locked && await trusted(locked) ? "user" : checkTrust(href, options, publisher);
  if (options.lock && !locked && !options.update) {
    raise("KW-REF-LOCK", `${href} is not in the lock`, "Lock it first: kernelwright lock REF.", {
      file: options.lock,
    });
  }
  const keep = async (entry: LockEntry) => {
    if (!options.update || !options.lock) return;
    const same = before !== undefined && sameEntry(before, entry);
    const vouched = voucher === "user" || (same && await trusted(before));
    if (voucher === "user") await keepTrust(entry.manifest, href, options.config);
    if (same && Boolean(before.trusted) === vouched) return;
    const now = await readLock(options.lock); // another program may have locked something by now
    await writeLock(options.lock, now.set(href, { ...entry, ...(vouched ? { trusted: true } : {}) }));
  };
  return await load(originOf(where, options, locked), wanted, sourceOf(options), { locked, keep });
}

/** Reads, checks and only then imports. */
async function load(
  origin: Origin,
  { ref, name, purpose }: Wanted,
  source: Source,
  { locked, keep }: { locked?: LockEntry; keep?: (entry: LockEntry) => Promise<void> } = {},
): Promise<KernelClass> {
  const read = await readManifest(origin, source, locked);
  checkSdkRange(read.manifest.sdk, ref);
  const kernel = Object.hasOwn(read.manifest.kernels, name) ? read.manifest.kernels[name] : raise(
    "KW-REF-EXPORT",
    `${origin.href} has no kernel "${name}"`,
    didYouMean(name, Object.keys(read.manifest.kernels)),
  );
  if (purpose) checkAgainstModel(kernel, ref, purpose);
  const bundle = await readBundle(origin, source, read);
  const cls = exported(await runBundle(bundle, origin.href), name, ref);
  checkAgainstCode(kernel, kernelDefinition(cls), ref);
  await keep?.(bundle.entry);
  return cls;
}

/** A bundle's entry on this machine: given itself or as a folder. */
function localBundle(where: string): URL {
  const path = localPath(where);
  return fileUrlOfPath(/\.m?js$/.test(path) ? path : joinFile(path, MANIFEST_FILE));
}

/** Whether a file of this machine is a bundle's kernel.json, or the entry of the one beside it. */
async function isBundle(url: URL): Promise<boolean> {
  if (url.pathname.endsWith(`/${MANIFEST_FILE}`)) return true;
  if (!/\.m?js$/.test(url.pathname)) return false;
  const beside = new URL(MANIFEST_FILE, url);
  const text = await fs().readFile(beside, "utf8").catch(() => undefined);
  if (text === undefined) return false;
  const { entry }: Manifest = parseManifest(text, beside.href);
  return new URL(entry, url).href === url.href;
}
