/** `kernel.json`: what a bundle says about itself, readable without running its code. */
import { checkArgument } from "../arguments.ts";
import * as z from "zod";
import { KernelwrightError, raise } from "../errors.ts";

/**
 * The file's name.
 *
 * See the example of {@linkcode parseManifest}.
 */
export const MANIFEST_FILE = "kernel.json";

/** A parameter, as its author wrote it. */
export interface ManifestParameter {
  /** Its name. */
  readonly name: string;
  /** Its type, as TypeScript. */
  readonly type: string;
  /** Whether it may be left out. */
  readonly optional?: boolean;
}

/** A conversion, without its code. */
export interface ManifestConversion {
  /** Sources. */
  readonly from: readonly string[];
  /** Targets. */
  readonly to: readonly string[];
  /** The ops and what they were given. */
  readonly ops: readonly { readonly name: string; readonly parameters: Readonly<Record<string, unknown>> }[];
}

/** One kernel of a bundle. */
export interface ManifestKernel {
  /** How it relates to the modules. */
  readonly kind: "replaces" | "fuses" | "fusesParallel";
  /** The modules: the part's name, and the name under which the layer can be replaced. */
  readonly parts: readonly { readonly name: string; readonly layer: string }[];
  /** Its forward. */
  readonly forward: { readonly parameters: readonly ManifestParameter[]; readonly result?: string };
  /** Its layout, if it has one. */
  readonly layout?: {
    readonly name: string;
    readonly constructor: readonly ManifestParameter[];
    readonly conversions?: readonly ManifestConversion[];
    /** Whether they depend on the modules, so that they cannot be listed. */
    readonly conversionsVary?: boolean;
    readonly drops: readonly string[];
  };
  /** What it needs. */
  readonly requires: {
    readonly features?: readonly string[];
    readonly limits?: Readonly<Record<string, number>>;
    readonly dtypes?: readonly string[];
  };
}

/** A bundle's description. */
export interface Manifest {
  /** The format; 1. */
  readonly format: 1;
  /** The package's name. */
  readonly name: string;
  /** Its version. */
  readonly version: string;
  /** Its license, as SPDX has it. */
  readonly license?: string;
  /** The versions of this SDK that it works with. */
  readonly sdk: string;
  /** The file to import. */
  readonly entry: string;
  /** The kernels by export. */
  readonly kernels: Readonly<Record<string, ManifestKernel>>;
  /** Every file with its size and SHA-256. */
  readonly files: Readonly<Record<string, { readonly bytes: number; readonly sha256: string }>>;
}

/**
 * Reads a manifest.
 *
 * @param text The file. @param file Where it came from, for errors.
 * @throws KW-REF-MANIFEST; KW-REF-ESCAPES when it names a file outside of its folder.
 *
 * @example
 * ```ts
 * import { MANIFEST_FILE, parseManifest } from "@kernelwright/sdk/registry";
 * import { assertEquals } from "@std/assert";
 *
 * const file = `./fast-norm/dist/${MANIFEST_FILE}`;
 * const manifest = parseManifest(await Deno.readTextFile(file), file);
 * assertEquals([manifest.name, Object.keys(manifest.kernels)], ["@you/fast-norm", ["FastNorm"]]);
 * ```
 */
export function parseManifest(text: string, file: string): Manifest {
  checkArgument("parseManifest(): text", text, "a string");
  checkArgument("parseManifest(): file", file, "a string");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    raise("KW-REF-MANIFEST", `${MANIFEST_FILE} is not JSON: ${String(cause)}`, undefined, { file }, cause);
  }
  const parsed = Schema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new KernelwrightError({
      code: "KW-REF-MANIFEST",
      what: issue.message,
      where: { file, json: issue.path.join(".") || undefined },
    });
  }
  const manifest = parsed.data as Manifest;
  for (const name of [...Object.keys(manifest.files), manifest.entry]) checkFileName(name, file);
  if (!Object.hasOwn(manifest.files, manifest.entry)) {
    raise("KW-REF-MANIFEST", `The entry "${manifest.entry}" is not among the files`, undefined, { file });
  }
  return manifest;
}

/** A name and nothing else: no folder, no drive, nothing that a shell or a URL would read otherwise. */
export function checkFileName(name: string, file: string): void {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name) && !name.includes("..") && name.length <= 100) return;
  raise(
    "KW-REF-ESCAPES",
    `A bundle names the file ${JSON.stringify(name)}`,
    "A bundle's files lie side by side, and their names are letters, digits, dots, dashes and underscores.",
    { file },
  );
}

// ---------------------------------------------------------------------------

const Parameter = z.object({ name: z.string(), type: z.string(), optional: z.boolean().optional() });
const Kernel = z.object({
  kind: z.enum(["replaces", "fuses", "fusesParallel"]),
  parts: z.array(z.object({ name: z.string(), layer: z.string() })).min(1),
  forward: z.object({ parameters: z.array(Parameter), result: z.string().optional() }),
  layout: z.object({
    name: z.string(),
    constructor: z.array(Parameter),
    conversions: z.array(z.object({
      from: z.array(z.string()),
      to: z.array(z.string()),
      ops: z.array(z.object({ name: z.string(), parameters: z.record(z.string(), z.unknown()) })),
    })).optional(),
    conversionsVary: z.boolean().optional(),
    drops: z.array(z.string()),
  }).optional(),
  requires: z.object({
    features: z.array(z.string()).optional(),
    limits: z.record(z.string(), z.number()).optional(),
    dtypes: z.array(z.string()).optional(),
  }),
});
const Schema = z.object({
  format: z.literal(1),
  name: z.string().min(1).max(200),
  version: z.string().regex(/^\d+\.\d+\.\d+/),
  license: z.string().optional(),
  sdk: z.string(),
  entry: z.string(),
  kernels: z.record(z.string(), Kernel),
  files: z.record(
    z.string(),
    z.object({ bytes: z.number().int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  ),
});
