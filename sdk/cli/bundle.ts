import type * as esbuild from "esbuild"; // loaded where it is used: it asks for permissions as it loads
import type { Command } from "commander";
import { join, relative, resolve, toFileUrl } from "@std/path";
import { type ConversionRule, isKernel, type KernelDefinition, kernelDefinition } from "../authoring/mod.ts";
import { KernelwrightError, raise } from "../errors.ts";
import { layerNameOfClass } from "../nn/mod.ts";
import {
  type Manifest,
  MANIFEST_FILE,
  type ManifestKernel,
  type ManifestParameter,
  parseManifest,
  reachesOutside,
  SDK_ENTRIES,
  sha256,
} from "../registry/mod.ts";
import { checkMayRun, type ClassFacts, classFacts, type ParameterFact } from "./new_kernel/module_facts.ts";

const ENTRY = "kernel.js";

/** Adds the command `bundle`. */
export function registerBundle(program: Command): void {
  program.command("bundle").description("pack a kernel package into one file and a kernel.json")
    .argument("<DIR>", "the package: a folder with a deno.json")
    .option("--out <FOLDER>", "where to write; defaults to DIR/dist")
    .action(async (dir: string, { out }: { out?: string }) => {
      const { folder, manifest } = await bundlePackage(dir, out);
      const names = Object.keys(manifest.kernels).join(", ");
      console.log(
        `${relative(Deno.cwd(), folder)}: ${names} ${manifest.version}, ${manifest.files[ENTRY].bytes} bytes`,
      );
    });
}

/**
 * Packs a package: one ESM file with the WGSL in it, decorators lowered, names kept, and the SDK left outside; and
 * `kernel.json`. The same sources give the same bytes: so nothing is taken from a package whose version moves, and what
 * is reviewed is all there is.
 *
 * @throws KW-BUNDLE, KW-BUNDLE-DEPENDENCY, KW-CLI-DENO; then nothing was written.
 */
export async function bundlePackage(
  dir: string,
  out: string = join(dir, "dist"),
): Promise<{ folder: string; manifest: Manifest }> {
  const root = resolve(dir);
  const config = await readConfig(root);
  const code = await bundleCode(root, config.entry, config.imports);
  let draft: string | undefined;
  try {
    draft = await Deno.makeTempDir({ prefix: "kernelwright-bundle-" });
    // What is described is what was packed: the bundle is imported, not the sources.
    await Deno.writeFile(join(draft, ENTRY), code);
    const module: Record<string, unknown> = await import(toFileUrl(join(draft, ENTRY)).href).catch((cause) =>
      raise(
        "KW-BUNDLE",
        `The bundle of ${config.entry} fails when it is imported: ${String(cause)}`,
        "It is one file far from its folder: import nothing from there at run time, and read no files.",
        { file: root },
        cause,
      )
    );
    const definitions = Object.entries(module).filter(([, v]) => isKernel(v))
      .map(([name, v]) => [name, kernelDefinition(v)] as const);
    if (definitions.length === 0) {
      raise(
        "KW-BUNDLE",
        `${config.entry} exports no class decorated with @kernel`,
        "Export the kernel's class.",
        { file: root },
      );
    }
    const facts = await classFacts([config.entry], root);
    const manifest: Manifest = {
      format: 1,
      name: config.name,
      version: config.version,
      ...(config.license ? { license: config.license } : {}),
      sdk: config.sdk,
      entry: ENTRY,
      kernels: Object.fromEntries(definitions.map(([name, d]) => [name, describeKernel(d, facts)])),
      files: { [ENTRY]: { bytes: code.length, sha256: await sha256(code) } },
    };
    const text = JSON.stringify(manifest, null, 2) + "\n";
    parseManifest(text, MANIFEST_FILE); // what could not be read again is not written
    await Deno.mkdir(out, { recursive: true });
    await Deno.writeFile(join(out, ENTRY), code);
    await Deno.writeTextFile(join(out, MANIFEST_FILE), text);
    return { folder: resolve(out), manifest };
  } catch (cause) {
    if (cause instanceof KernelwrightError) throw cause;
    return raise(
      "KW-BUNDLE",
      `Cannot write the bundle: ${cause instanceof Error ? cause.message : String(cause)}`,
      "Give --out a folder that can be written.",
      { file: out },
      cause,
    );
  } finally {
    if (draft) await Deno.remove(draft, { recursive: true });
  }
}

// ---------------------------------------------------------------------------

interface PackageConfig {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly entry: string;
  readonly sdk: string;
  /** Names for files of the package itself. */
  readonly imports: ReadonlyMap<string, string>;
}

async function readConfig(root: string): Promise<PackageConfig> {
  const file = join(root, "deno.json");
  let config: Record<string, unknown>;
  try {
    config = JSON.parse(await Deno.readTextFile(file));
  } catch (cause) {
    raise(
      "KW-BUNDLE",
      `Cannot read ${file}: ${String(cause)}`,
      "Give the folder of a package.",
      { file },
      cause,
    );
  }
  const { name, version, license, exports, imports } = config;
  if (typeof name !== "string" || typeof version !== "string") {
    raise("KW-BUNDLE", "The package has no name or no version", 'Write "name" and "version".', { file });
  }
  const entry = typeof exports === "string"
    ? exports
    : (exports as Record<string, string> | undefined)?.["."];
  if (!entry) raise("KW-BUNDLE", "The package has no entry", 'Write "exports": "./mod.ts".', { file });
  const named = Object.entries(imports as Record<string, string> | undefined ?? {});
  const sdk = named.find(([name]) => name === "@kernelwright/sdk")?.[1] ?? "";
  return {
    name,
    version,
    license: typeof license === "string" ? license : undefined,
    entry,
    sdk: /@([~^]?\d[^/]*)$/.exec(sdk)?.[1] ?? "*",
    imports: new Map(named.filter(([, to]) => /^\.\.?\//.test(to))),
  };
}

async function bundleCode(
  root: string,
  entry: string,
  imports: ReadonlyMap<string, string>,
): Promise<Uint8Array<ArrayBuffer>> {
  const foreign: Foreign[] = [];
  let result: esbuild.BuildResult<{ write: false }>;
  let tool: typeof esbuild | undefined;
  try {
    tool = await import("esbuild");
    result = await tool.build({
      absWorkingDir: root,
      entryPoints: [entry],
      bundle: true,
      format: "esm",
      platform: "neutral",
      target: "es2022", // lowers decorators
      keepNames: true,
      charset: "utf8",
      legalComments: "inline",
      plugins: [ownImports(root, imports, foreign), textImports],
      write: false,
      logLevel: "silent",
    });
  } catch (cause) {
    if (!(cause instanceof Error && "errors" in cause)) checkMayRun(cause); // what esbuild says then is not a reason
    raise(
      "KW-BUNDLE",
      `Cannot bundle ${entry}: ${String(cause)}`,
      "See that deno check passes on it.",
      { file: root },
      cause,
    );
  } finally {
    await tool?.stop(); // its process would keep ours alive
  }
  if (foreign.length === 0) return closedCode(new Uint8Array(result.outputFiles[0].contents), root);
  const [{ path, importer }] = foreign;
  const others = new Set(foreign.map((f) => f.path).filter((p) => p !== path));
  raise(
    "KW-BUNDLE-DEPENDENCY",
    `Cannot bundle an import of ${JSON.stringify(path)}${
      others.size > 0 ? `, and of ${[...others].join(", ")}` : ""
    }`,
    "A bundle imports @kernelwright/sdk and its own files. Copy what you need beside them, and import it from there.",
    { file: importer },
  );
}

/** The code, unless it would load more as it runs: what is computed, or hidden from the bundler. */
function closedCode(code: Uint8Array<ArrayBuffer>, root: string): Uint8Array<ArrayBuffer> {
  const [first, ...rest] = reachesOutside(new Map([[ENTRY, code]]), ENTRY);
  if (!first) return code;
  const line = new TextDecoder().decode(code).split("\n")[first.line - 1].trim().slice(0, 200);
  raise(
    "KW-BUNDLE-DEPENDENCY",
    `Cannot bundle code that ${first.what}: ${line}${rest.length > 0 ? `, and ${rest.length} more` : ""}`,
    "A bundle imports @kernelwright/sdk and its own files, by names that are written out, and makes no code of text.",
    { file: root },
  );
}

/** An import of something that is not the package's and not the SDK. */
interface Foreign {
  readonly path: string;
  readonly importer: string;
}

/** The SDK stays outside, the package's own files come in, and all else is noted. */
function ownImports(
  root: string,
  imports: ReadonlyMap<string, string>,
  foreign: Foreign[],
): esbuild.Plugin {
  return {
    name: "own-imports",
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, (args) => {
        if (args.kind === "entry-point") return undefined;
        const { path, importer } = args;
        const own = imports.get(path);
        if (own !== undefined) return { path: join(root, own) };
        if (!SDK_ENTRIES.has(path)) foreign.push({ path, importer });
        return { path, external: true };
      });
    },
  };
}

/** `import code from "./x.wgsl" with { type: "text" }`. */
const textImports: esbuild.Plugin = {
  name: "text-imports",
  setup(build) {
    build.onLoad(
      { filter: /.*/ },
      async (args) =>
        args.with.type === "text"
          ? { contents: (await Deno.readTextFile(args.path)).replaceAll("\r\n", "\n"), loader: "text" }
          : undefined,
    );
  },
};

function describeKernel(
  definition: KernelDefinition,
  facts: ReadonlyMap<string, ClassFacts>,
): ManifestKernel {
  const { name, site, layout, requires } = definition;
  const own = facts.get(name);
  const { conversions } = layout ?? {};
  return {
    kind: site.kind,
    parts: site.parts.map(({ name, cls }) => ({ name, layer: layerNameOfClass(cls) ?? cls.name })),
    forward: {
      parameters: (own?.forwardParameters ?? []).map(parameterOf),
      ...(own?.forwardResult ? { result: own.forwardResult } : {}),
    },
    ...(layout && {
      layout: {
        name: layout.name,
        constructor: (facts.get(layout.name) ?? missingType(layout.name)).constructorParameters.map(
          parameterOf,
        ),
        ...(typeof conversions === "function" && { conversionsVary: true }),
        ...(Array.isArray(conversions) && {
          conversions: (conversions as readonly ConversionRule[]).map(({ from, to, ops }) => ({
            from: [...from],
            to: [...to],
            ops: ops.map(({ name, parameters }) => ({ name, parameters })),
          })),
        }),
        drops: [...layout.drops],
      },
    }),
    requires: { ...requires } as ManifestKernel["requires"],
  };
}

function parameterOf({ name, type, optional }: ParameterFact): ManifestParameter {
  return { name, type, ...(optional ? { optional } : {}) };
}

function missingType(layout: string): never {
  return raise(
    "KW-BUNDLE",
    `The types of ${layout} are not exported`,
    `Export ${layout} from the package's entry.`,
  );
}
