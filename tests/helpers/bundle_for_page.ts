/** Modules for a page, bundled by esbuild with the options that docs/browser.md gives. @module */
import { fromFileUrl, join } from "@std/path";
import * as esbuild from "esbuild";

const root = fromFileUrl(new URL("../../", import.meta.url));

/**
 * Bundles entries, whose common code comes once.
 *
 * @param entries Files by the names of their outputs.
 * @returns The text of each output by its path in a server: `/name.js`.
 */
export async function bundleForPage(
  entries: Readonly<Record<string, string>>,
  { minify = false }: { readonly minify?: boolean } = {},
): Promise<Map<string, string>> {
  try {
    const { outputFiles } = await esbuild.build({
      absWorkingDir: root,
      entryPoints: { ...entries },
      outdir: "out",
      bundle: true,
      splitting: Object.keys(entries).length > 1,
      format: "esm",
      platform: "browser",
      target: "es2022",
      keepNames: true,
      minify,
      plugins: [await namesOfDeno()],
      write: false,
      logLevel: "silent",
    });
    return new Map(outputFiles.map((f) => [f.path.slice(join(root, "out").length), f.text]));
  } finally {
    await esbuild.stop();
  }
}

// ---------------------------------------------------------------------------

/** Names as deno.json has them; packages where Deno keeps them, since there is no node_modules here. */
async function namesOfDeno(): Promise<esbuild.Plugin> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "mod.ts"],
    cwd: root,
  }).output();
  const { npmPackages }: { npmPackages: Record<string, { name: string; localPath: string }> } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  const folders = new Map(Object.values(npmPackages).map((p) => [p.name, p.localPath]));
  const { imports }: { imports: Record<string, string> } = JSON.parse(
    Deno.readTextFileSync(join(root, "deno.json")),
  );
  return {
    name: "names-of-deno",
    setup(build) {
      build.onResolve({ filter: /^[@a-z]/ }, async ({ path, kind }) => {
        if (kind === "entry-point") return undefined;
        const to = imports[path];
        if (to?.startsWith("./")) return { path: join(root, to) };
        const at = folders.get(path);
        // deno.json may name a file: npm:NAME@^1/FILE.js
        const [, file] = /^npm:(?:@[^/]+\/)?[^@/][^/]*\/(.+)$/.exec(to ?? "") ?? [];
        if (at && file) return { path: join(at, file) };
        return at ? await build.resolve("./", { resolveDir: at, kind: "import-statement" }) : undefined;
      });
    },
  };
}
