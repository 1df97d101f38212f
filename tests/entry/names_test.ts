/**
 * The public names, entry by entry, as they are written down in names.json. A change there is a change of the SDK's
 * face: it belongs in CHANGELOG.md. `deno run -A tests/entry/names_test.ts` writes the file again.
 */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { fromFileUrl } from "@std/path";
import { SDK_ENTRIES } from "../../sdk/registry/mod.ts";
import config from "../../deno.json" with { type: "json" };

const root = fromFileUrl(new URL("../../", import.meta.url));
const file = fromFileUrl(new URL("names.json", import.meta.url));
const MOST_AT_ROOT = 120;
const MOST_LINES = 1600;

function doc(...args: string[]): string {
  const { success, stdout, stderr } = new Deno.Command(Deno.execPath(), {
    args: ["doc", ...args],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).outputSync();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** What `deno doc --json` gives, as far as it matters here. */
interface Doc {
  readonly nodes: Readonly<Record<string, { readonly symbols: readonly { readonly name: string }[] }>>;
}

function publicNames(): Record<string, string[]> {
  const entries = Object.entries(config.exports).filter(([name]) => name !== "./cli");
  return Object.fromEntries(entries.map(([name, path]) => {
    const { nodes }: Doc = JSON.parse(doc("--json", path));
    const names = Object.values(nodes).flatMap(({ symbols }) => symbols.map((s) => s.name));
    return [name, [...new Set(names)].sort()];
  }));
}

if (import.meta.main) {
  Deno.writeTextFileSync(file, JSON.stringify(publicNames(), null, 2) + "\n");
} else {
  describe("the face", () => {
    it("has the names that are written down", () => {
      assertEquals(publicNames(), JSON.parse(Deno.readTextFileSync(file)));
    });

    it("is what bundles may import, but for its insides and its program", () => {
      const names = Object.keys(config.exports).filter((name) => !["./cli", "./internal"].includes(name));
      assertEquals([...SDK_ENTRIES].sort(), names.map((name) => `@kernelwright/sdk${name.slice(1)}`).sort());
    });

    it("shows of a device and of a captured plan what their users need", () => {
      const membersOf = (name: string) =>
        [...doc("--filter", name, "mod.ts").matchAll(/^ {2}(?:readonly )?(\w+)(?=[:(])/gm)].map((
          m,
        ) => m[1]);
      assertEquals(membersOf("Gpu"), ["info", "features", "limits", "sync", "trim", "destroy"]);
      const plan = ["result", "dispatches", "bytes", "current", "replay", "dispose"];
      assertEquals(membersOf("CapturedPlan"), plan);
    });

    it(`has at most ${MOST_AT_ROOT} names at the root, on a few screens`, () => {
      const count = JSON.parse(Deno.readTextFileSync(file))["."].length;
      assert(count <= MOST_AT_ROOT, `${count} names`);
      const lines = doc("mod.ts").split("\n").length;
      assert(lines <= MOST_LINES, `${lines} lines`);
    });
  });
}
