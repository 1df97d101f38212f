/** Bundles in packages of JSR and npm: read file by file or out of the archive, and none of it run. */
import * as z from "zod";
import { raise } from "../errors.ts";
import type { PackagePlace } from "../kernelize/mod.ts";
import type { Origin } from "./bundle_files.ts";
import { sha256 } from "./digest.ts";
import { fetchBytes, type FetchLimits } from "./fetch.ts";
import { MANIFEST_FILE, parseManifest } from "./manifest.ts";
import { chooseVersion } from "./package_version.ts";
import { type Registries, registryOf } from "./registries.ts";
import { readTarball } from "./tar.ts";

/** How packages are reached. */
export interface PackageAccess {
  /** The registries' addresses. */
  readonly registries?: Registries;
  /** Bounds for servers. */
  readonly limits?: FetchLimits;
}

/**
 * A bundle in a package. Nothing is asked of the registry before something is read.
 *
 * @param pinned The version that the lock has: then no other is looked for.
 */
export function packageOrigin(place: PackagePlace, access: PackageAccess, pinned?: string): Origin {
  let found: Promise<{ files: PackageFiles; folder: string; manifest: Bytes }> | undefined;
  const wanted = pinned === undefined ? place : { ...place, range: pinned };
  return {
    href: place.where,
    async read(name, digest) {
      const { files, folder, manifest } = await (found ??= locate(wanted, access));
      if (name === MANIFEST_FILE) return manifest;
      return await files.read(folder + name, digest) ??
        raise("KW-REF-FETCH", `The package has no file "${folder}${name}"`, undefined, { file: place.where });
    },
  };
}

// ---------------------------------------------------------------------------

type Bytes = Uint8Array<ArrayBuffer>;

interface PackageFiles {
  readonly version: string;
  /** A file, held against the registry's own digest; undefined where the package has none of that name. */
  read(path: string, digest?: string): Promise<Bytes | undefined>;
}

async function locate(
  place: PackagePlace,
  access: PackageAccess,
): Promise<{ files: PackageFiles; folder: string; manifest: Bytes }> {
  const base = await registryOf({ ...place, href: place.where }, access.registries);
  const files = await (place.registry === "jsr" ? openJsr : openNpm)(place, base, access.limits);
  // At the top, or where `bundle` writes.
  const folders = place.folder === undefined ? ["", "dist/"] : [place.folder];
  for (const folder of folders) {
    const manifest = await files.read(folder + MANIFEST_FILE);
    if (!manifest) continue;
    const { name, version } = parseManifest(new TextDecoder().decode(manifest), place.where);
    if (name !== place.package || version !== files.version) {
      raise(
        "KW-REF-MANIFEST",
        `kernel.json says that it is ${name}@${version}, and the registry ${place.package}@${files.version}`,
        "Make the bundle again, then publish.",
        { file: place.where },
      );
    }
    return { files, folder, manifest };
  }
  raise(
    "KW-REF-MANIFEST",
    `${place.package}@${files.version} has no kernel.json (looked in ${
      folders.map((f) => f || "./").join(", ")
    })`,
    "A package is used as a bundle: its publisher runs `bundle`, and publishes dist/ with it.",
    { file: place.where },
  );
}

const JsrMeta = z.object({ versions: z.record(z.string(), z.object({ yanked: z.boolean().optional() })) });
const JsrVersion = z.object({
  manifest: z.record(z.string(), z.object({ size: z.number(), checksum: z.string() })),
});

async function openJsr(place: PackagePlace, base: URL, limits?: FetchLimits): Promise<PackageFiles> {
  const folder = new URL(`${place.package}/`, base);
  const { versions } = await readJson(new URL("meta.json", folder), JsrMeta, { limits });
  // One that was taken back is taken only where it is named: as a lock does.
  const named = Object.keys(versions).filter((v) => !versions[v].yanked || v === place.range);
  const version = chooseVersion(place, named);
  const { manifest } = await readJson(new URL(`${version}_meta.json`, folder), JsrVersion, { limits });
  return {
    version,
    async read(path, digest) {
      const entry = Object.hasOwn(manifest, `/${path}`) ? manifest[`/${path}`] : undefined;
      if (!entry) return undefined;
      const url = new URL(`${version}/${path}`, folder);
      const bytes = await fetchBytes(url, limits);
      const got = await sha256(bytes);
      if (entry.checksum !== `sha256-${got}` || entry.size !== bytes.length) changed(url, got);
      return digest === undefined || digest === got ? bytes : ownImports(bytes);
    },
  };
}

/**
 * JSR's client writes a package's imports out as it publishes: `jsr:@kernelwright/sdk@^0.1.0` where the bundle had
 * `@kernelwright/sdk`. Undone, the file is what its kernel.json has the digest of, and runs on the SDK that is there.
 */
function ownImports(bytes: Bytes): Bytes {
  const text = new TextDecoder().decode(bytes);
  return new Uint8Array(new TextEncoder().encode(
    text.replaceAll(/(["'])jsr:\/?(@kernelwright\/sdk)(?:@[^"'/]*)?((?:\/[\w./-]*)?)\1/g, "$1$2$3$1"),
  ));
}

const Packument = z.object({
  "dist-tags": z.record(z.string(), z.string()).optional(),
  versions: z.record(
    z.string(),
    z.object({ dist: z.object({ tarball: z.string(), integrity: z.string().optional() }) }),
  ),
});

async function openNpm(place: PackagePlace, base: URL, limits?: FetchLimits): Promise<PackageFiles> {
  const about = new URL(place.package.replace("/", "%2f"), base);
  const found = await readJson(about, Packument, {
    limits,
    accept: "application/vnd.npm.install-v1+json, application/json;q=0.8",
  });
  const version = chooseVersion(place, Object.keys(found.versions), found["dist-tags"]);
  const { tarball, integrity } = found.versions[version].dist;
  const url = URL.canParse(tarball, about) ? new URL(tarball, about) : unreadable(about);
  const archive = await fetchBytes(url, limits, { from: base });
  await checkIntegrity(archive, integrity, url);
  const files = await readTarball(archive, 4 * (limits?.maxBytes ?? 16 * 1024 * 1024), url.href);
  return { version, read: (path) => Promise.resolve(files.get(path)) };
}

async function checkIntegrity(archive: Bytes, integrity: string | undefined, url: URL): Promise<void> {
  const wanted = integrity?.split(/\s+/).filter((i) => i.startsWith("sha512-")) ?? [];
  if (wanted.length === 0) {
    raise("KW-REF-DIGEST", "The registry gives no SHA-512 for the package's archive", undefined, {
      file: url.href,
    });
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-512", archive));
  const got = `sha512-${btoa(Array.from(digest, (byte) => String.fromCharCode(byte)).join(""))}`;
  if (!wanted.includes(got)) changed(url, got.slice(7));
}

async function readJson<T>(
  url: URL,
  schema: z.ZodType<T>,
  { limits, accept }: { limits?: FetchLimits; accept?: string },
): Promise<T> {
  const bytes = await fetchBytes(url, limits, { accept });
  try {
    return schema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (cause) {
    return unreadable(url, cause);
  }
}

function unreadable(url: URL, cause?: unknown): never {
  return raise(
    "KW-REF-FETCH",
    "The registry's answer cannot be read",
    "Check the registry's address.",
    { file: url.href },
    cause,
  );
}

function changed(url: URL, got: string): never {
  return raise(
    "KW-REF-DIGEST",
    `The file is not the one that the registry has the digest of (${got.slice(0, 12)}…)`,
    "Do not use it; try again later, or tell the registry.",
    { file: url.href },
  );
}
