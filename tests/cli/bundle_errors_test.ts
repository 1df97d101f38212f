/** What cannot be bundled is told as an error of ours, and nothing is written. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { join } from "@std/path";
import { KernelwrightError } from "@kernelwright/sdk";
import { bundlePackage } from "../../sdk/cli/bundle.ts";

const CONFIG = { name: "@me/odd", version: "0.1.0", exports: "./mod.ts" };

/** What bundling a package with this entry, and these settings, is refused with. */
async function refusal(entry: string, config: Record<string, unknown> = CONFIG): Promise<KernelwrightError> {
  const folder = Deno.makeTempDirSync({ prefix: "kernelwright-odd-" });
  try {
    Deno.writeTextFileSync(join(folder, "deno.json"), JSON.stringify(config));
    Deno.writeTextFileSync(join(folder, "mod.ts"), entry);
    const error = await assertRejects(() => bundlePackage(folder), KernelwrightError);
    assertEquals([...Deno.readDirSync(folder)].map((e) => e.name).sort(), ["deno.json", "mod.ts"]);
    assert(error.diagnostic.fix, "it says what to do");
    return error;
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

describe("bundlePackage() refuses", () => {
  const cases: [
    what: string,
    code: string,
    words: string,
    entry: string,
    config?: Record<string, unknown>,
  ][] = [
    ["code that fails when it is imported", "KW-BUNDLE", "not today", `throw new Error("not today");`],
    ["code that does not parse", "KW-BUNDLE", "Cannot bundle ./mod.ts", "export const = 3;"],
    ["a package without kernels", "KW-BUNDLE", "exports no class", "export const x = 3;"],
    ["an import from elsewhere", "KW-BUNDLE-DEPENDENCY", '"npm:left-pad"', `import "npm:left-pad";`],
    ["a package without a name", "KW-BUNDLE", "no name", "export {};", { version: "1.0.0" }],
    ["a package without an entry", "KW-BUNDLE", "no entry", "export {};", {
      name: "@me/x",
      version: "1.0.0",
    }],
  ];
  for (const [what, code, words, entry, config] of cases) {
    it(what, async () => {
      const error = await refusal(entry, config);
      assertEquals([error.code, error.message.includes(words)], [code, true], error.message);
    });
  }
});
