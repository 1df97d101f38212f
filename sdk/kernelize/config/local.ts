/** Kernels of this machine: references to its folders and files. */
import { checkArgument, refuseArgument } from "../../arguments.ts";
import { isKernel, type KernelClass } from "../../authoring/mod.ts";
import { builtin, fileUrlOfPath, fs, hasFiles, pathOfFileUrl } from "../../host/mod.ts";
import { didYouMean, raise } from "../../errors.ts";
import type { Module } from "../../nn/mod.ts";
import type { KernelConfig } from "./config.ts";
import { type LocalPlace, parseReference, referenceText, type TextReference } from "./reference.ts";

/** What a kernel is loaded for, so that a stranger's can be refused before its code runs. */
export interface RefPurpose {
  /** The modules of the model, without kernels. */
  readonly modules: readonly Module[];
  /** The config that names the reference. */
  readonly config?: KernelConfig;
}

/** Loads the class that a reference names. `base` is the folder that relative references start from. */
export type RefResolver = (
  ref: string,
  base: URL | undefined,
  purpose?: RefPurpose,
) => Promise<KernelClass>;

/**
 * Loads a kernel from a folder (its `mod.ts` or `mod.js`) or a file of this machine.
 *
 * A relative reference is looked for beside the config file first, and then in the working folder.
 *
 * @throws KW-REF-SYNTAX, KW-REF-MISSING, KW-REF-EXPORT.
 *
 * @example
 * ```ts
 * import { exported, findLocal, resolveLocal } from "@kernelwright/sdk/config";
 * import { assertEquals } from "@std/assert";
 *
 * const base = new URL(import.meta.url); // references start beside this file
 * const FastNorm = await resolveLocal("./fast-norm:FastNorm", base);
 * // The same step by step, for a resolver of one's own:
 * const file = await findLocal("./fast-norm:FastNorm", base, ["mod.ts"]);
 * assertEquals(exported(await import(file.href), "FastNorm", "./fast-norm:FastNorm"), FastNorm);
 * ```
 */
export const resolveLocal: RefResolver = async (ref: string, base: URL | undefined): Promise<KernelClass> => {
  const reference = parseReference(ref);
  const url = await findPlace(reference, base, [...SOURCES, BUNDLE]);
  if (url.pathname.endsWith(`/${BUNDLE}`)) {
    raise(
      "KW-REF-SYNTAX",
      `Cannot load ${JSON.stringify(ref)}: it is a bundle, whose digests are not checked here`,
      "Give a resolver: kernelResolver() of @kernelwright/sdk/registry.",
    );
  }
  return exported(await import(url.href), reference.name, ref);
};

/** What a folder with sources is entered by. */
const SOURCES = ["mod.ts", "mod.js"];

/** What a folder with a bundle has. */
const BUNDLE = "kernel.json";

/**
 * The file that a reference to this machine means: itself, or the first that its folder has of some names.
 *
 * See the example of {@linkcode resolveLocal}.
 *
 * @throws KW-REF-SYNTAX, KW-REF-MISSING.
 */
export async function findLocal(
  ref: string,
  base: URL | undefined,
  names: readonly string[] = [BUNDLE, ...SOURCES],
): Promise<URL> {
  checkArgument("findLocal(): names", names, "strings in an array");
  if (base !== undefined && !(base instanceof URL)) refuseArgument("findLocal(): base", base, "a URL");
  return await findPlace(parseReference(ref), base, names);
}

/** {@linkcode findLocal} of a reference that has been read. */
export async function findPlace(
  reference: TextReference,
  base: URL | undefined,
  names: readonly string[] = [BUNDLE, ...SOURCES],
): Promise<URL> {
  const ref = referenceText(reference);
  if (reference.kind !== "path" && reference.kind !== "file") {
    raise(
      "KW-REF-SYNTAX",
      `Cannot load ${JSON.stringify(ref)}: only local folders and files are resolved here`,
      'Give a resolver that knows this kind of reference; a folder whose name has a colon begins with "./".',
    );
  }
  if (base && base.protocol !== "file:") {
    // What lies here under that name is not what the config means.
    raise(
      "KW-REF-SYNTAX",
      `Cannot load ${
        JSON.stringify(ref)
      }: the config came from ${base.href}, and only local folders and files are resolved here`,
      "Give a resolver that knows addresses, such as kernelResolver(), or name the kernel by its class.",
    );
  }
  if (!hasFiles()) {
    raise(
      "KW-REF-MISSING",
      `Cannot load ${JSON.stringify(ref)}: this runtime has no files`,
      "Import the class and name it in the config, or give a resolver that knows where it is.",
    );
  }
  const tried = new Set<string>();
  for (const b of base ? [base, undefined] : [undefined]) {
    const path = await entryFile(pathOf(reference, b), names, tried);
    if (path !== undefined) return fileUrlOfPath(path);
  }
  raise(
    "KW-REF-MISSING",
    `Cannot load ${JSON.stringify(ref)}: there is no such folder or file`,
    `Looked for: ${[...tried].join(", ")}.${
      reference.where.startsWith("~") ? ' A "~" is not expanded here.' : ""
    }`,
  );
}

/**
 * The path that a place on this machine has: exactly the name that is written. Only a `file:` URL is decoded.
 *
 * @param base The file or folder that it is relative to; defaults to the working folder.
 * @throws KW-REF-SYNTAX for a `file:` URL that is of no path.
 */
export function pathOf({ kind, where }: LocalPlace, base?: URL): string {
  const { dirname, resolve } = builtin("node:path")!;
  try {
    if (kind === "file") return pathOfFileUrl(where);
    if (!base) return resolve(where);
    const start = pathOfFileUrl(base);
    return resolve(base.pathname.endsWith("/") ? start : dirname(start), where);
  } catch (cause) {
    raise(
      "KW-REF-SYNTAX",
      `Cannot read ${JSON.stringify(where)} as a path: ${(cause as Error).message}`,
      'Write a path, "./folder"; in a file: URL, # ? and % are written %23, %3F and %25.',
      undefined,
      cause,
    );
  }
}

// ---------------------------------------------------------------------------

async function entryFile(
  path: string,
  names: readonly string[],
  tried: Set<string>,
): Promise<string | undefined> {
  const { stat } = fs();
  const { join } = builtin("node:path")!;
  const found = await stat(path).catch(() => undefined);
  const isCode = /\.[mc]?[jt]s$/.test(path);
  if (isCode) tried.add(path);
  if (isCode && found?.isFile()) return path;
  if (isCode && !found?.isDirectory()) return undefined;
  for (const name of names) {
    const file = join(path, name);
    tried.add(file);
    if (await stat(file).then((s) => s.isFile(), () => false)) return file;
  }
  return undefined;
}

/**
 * The kernel that a module exports under a name.
 *
 * See the example of {@linkcode resolveLocal}.
 *
 * @throws KW-REF-EXPORT
 */
export function exported(module: Record<string, unknown>, name: string, ref: string): KernelClass {
  if (typeof module !== "object" || module === null) refuseArgument("exported(): module", module, "a module");
  checkArgument("exported(): name", name, "a string");
  checkArgument("exported(): ref", ref, "a string");
  const value = Object.hasOwn(module, name) ? module[name] : undefined;
  if (isKernel(value)) return value;
  const kernels = Object.keys(module).filter((k) => isKernel(module[k]));
  raise(
    "KW-REF-EXPORT",
    value === undefined
      ? `${JSON.stringify(ref)} exports no "${name}"`
      : `"${name}" of ${JSON.stringify(ref)} is not a kernel`,
    kernels.length > 0 ? didYouMean(name, kernels) : "It exports no class decorated with @kernel.",
  );
}
