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
  type AddressPlace,
  exported,
  findPlace,
  type LocalPlace,
  type PackagePlace,
  parsePlace,
  parseReference,
  pathOf,
  type Place,
  type RefPurpose,
  type RefResolver,
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
 * @throws KW-REF-UNTRUSTED, KW-REF-LOCK, KW-REF-DIGEST, KW-REF-SIGNATURE, KW-REF-FETCH, KW-REF-LIMIT, KW-REF-ESCAPES,
 * KW-REF-MANIFEST, KW-REF-REGISTRY, KW-REF-VERSION, KW-REF-EXPORT, KW-REF-SYNTAX, KW-REF-MISSING: the resolver does.
 *
 * @example
 * ```ts
 * import { kernelize } from "@kernelwright/sdk";
 * import { loadCausalLM } from "@kernelwright/sdk/models";
 * import { kernelResolver } from "@kernelwright/sdk/registry";
 * import { assertEquals } from "@std/assert";
 *
 * using model = await loadCausalLM("./model");
 * const resolver = kernelResolver({ lock: "kernels.lock", publishers: ["jsr:@you/"] });
 * // A bundle; "jsr:@you/norms@^1:FastNorm" would be fetched, locked and checked first.
 * const entry = { replace: "RMSNorm", at: "model.norm", with: "./fast-norm/dist:FastNorm" };
 * const report = await kernelize(model, { kernels: [entry] }, { resolver });
 * assertEquals(report.at("model.norm")?.kernel, "FastNorm");
 * ```
 */
export function kernelResolver(options: ResolverOptions = {}): RefResolver {
  return async (ref, base, purpose) => {
    const reference = parseReference(ref, base);
    const wanted = { ref, name: reference.name, purpose };
    if (isElsewhere(reference)) return await fromElsewhere(reference, wanted, options);
    const url = await findPlace(reference, base);
    if (!await isBundle(url)) return exported(await import(url.href), wanted.name, ref);
    return await load(urlOrigin(url), wanted, sourceOf(options));
  };
}

/**
 * Reads what a reference leads to, with every digest checked, and runs none of it.
 *
 * @param ref A reference, with or without a kernel's name.
 * @throws what {@linkcode kernelResolver} throws before it imports.
 *
 * @example
 * ```ts
 * import { inspectReference } from "@kernelwright/sdk/registry";
 * import { assertEquals } from "@std/assert";
 *
 * const { manifest } = await inspectReference("./fast-norm/dist:FastNorm"); // digests are checked, nothing runs
 * assertEquals(manifest.version, "1.0.0");
 * ```
 */
export async function inspectReference(ref: string, options: ResolverOptions = {}): Promise<Bundle> {
  checkArgument("inspectReference(): ref", ref, "a string");
  checkArgument("inspectReference(): options", options, "an object");
  const place = parsePlace(ref);
  const source = sourceOf(options);
  if (!isElsewhere(place)) {
    const origin = urlOrigin(localBundle(place));
    return await readBundle(origin, source, await readManifest(origin, source));
  }
  const lock = options.lock && !options.update ? await readLock(options.lock) : undefined;
  const locked = lock?.get(keyOf(place).href);
  const origin = originOf(place, options, locked);
  return await readBundle(origin, source, await readManifest(origin, source, locked));
}

/**
 * What the lock calls a reference from elsewhere, with or without a kernel's name.
 *
 * See the example of {@linkcode writeLock}.
 *
 * @throws KW-REF-SYNTAX
 */
export function lockKey(ref: string): string {
  checkArgument("lockKey(): ref", ref, "a string");
  const place = parsePlace(ref);
  if (isElsewhere(place)) return keyOf(place).href;
  raise(
    "KW-REF-SYNTAX",
    `Cannot read the package ${JSON.stringify(place.where)}`,
    "Write jsr:@scope/name@^1:Kernel or npm:name@1:Kernel, with a folder after the version where there is one.",
  );
}

/** Whether a place is not this machine's, so that it is locked and its publisher matters. */
export function isElsewhere(place: Place): place is AddressPlace | PackagePlace {
  return place.kind === "address" || place.kind === "package";
}

// ---------------------------------------------------------------------------

interface Wanted {
  readonly ref: string;
  readonly name: string;
  readonly purpose?: RefPurpose;
}

function sourceOf({ cache, offline }: ResolverOptions): Source {
  return { cache: new FileCache(cache ?? (hasFiles() ? defaultCacheFolder() : "")), offline };
}

/** What the lock calls a place, and how its publisher's references begin. */
function keyOf(place: AddressPlace | PackagePlace): { href: string; publisher: string } {
  if (place.kind === "package") {
    return { href: place.where, publisher: `${place.registry}:${place.package}/` };
  }
  const { href, pathname } = place.url;
  if (/%(2f|5c|2e)/i.test(pathname)) { // a server may take it for a way out of a trusted folder
    raise("KW-REF-ESCAPES", `${href} has a slash or a dot that is hidden in its path`, undefined, {
      file: href,
    });
  }
  return { href, publisher: href };
}

function originOf(
  place: AddressPlace | PackagePlace,
  { registries, limits }: ResolverOptions,
  locked?: LockEntry,
): Origin {
  if (place.kind === "address") return urlOrigin(place.url, limits);
  return packageOrigin(place, { registries, limits }, locked?.version.split("@").at(-1));
}

async function fromElsewhere(
  place: AddressPlace | PackagePlace,
  wanted: Wanted,
  options: ResolverOptions,
): Promise<KernelClass> {
  const { href, publisher } = keyOf(place);
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
  return await load(originOf(place, options, locked), wanted, sourceOf(options), { locked, keep });
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
function localBundle(place: LocalPlace): URL {
  const path = pathOf(place);
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
