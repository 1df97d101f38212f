import { describe, it } from "@std/testing/bdd";
import { assert } from "@std/assert";
import { Command } from "commander";
import { registerBundle } from "../../sdk/cli/bundle.ts";
import { registerDemo } from "../../sdk/cli/demo.ts";
import { registerEmbed } from "../../sdk/cli/embed.ts";
import { registerInspect } from "../../sdk/cli/inspect.ts";
import { registerNewKernel } from "../../sdk/cli/new_kernel/new_kernel.ts";
import { registerRegistry } from "../../sdk/cli/registry.ts";
import { registerReport } from "../../sdk/cli/report.ts";
import { registerRun } from "../../sdk/cli/run.ts";
import { registerInfo } from "../../sdk/cli/info.ts";
import { blocksOf, textOf } from "./page.ts";

const ROOT = new URL("../../", import.meta.url);
const GUIDES = [...Deno.readDirSync(new URL("docs/", ROOT))].map((e) => `docs/${e.name}`).sort();
const PAGES = ["README.md", "CONTRIBUTING.md", ...GUIDES].filter((page) => commandsOf(page).length > 0);
/** Tasks that are no commands of the SDK's own. */
const OTHERS = ["check", "test", "bench"];

const { tasks } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", ROOT)));
const program = new Command();
for (
  const register of [
    registerRun,
    registerDemo,
    registerEmbed,
    registerInspect,
    registerReport,
    registerNewKernel,
    registerBundle,
    registerRegistry,
    registerInfo,
  ]
) register(program);

describe("the commands on the pages", () => {
  it("are found", () => {
    for (const page of ["README.md", "CONTRIBUTING.md", "docs/tutorial.md"]) {
      assert(PAGES.includes(page), page);
    }
  });

  for (const page of PAGES) {
    it(`${page}: each is there, and knows its flags`, () => {
      for (const line of commandsOf(page)) {
        const name = line.split(" ")[1];
        assert(name in tasks, `./dev has no "${name}": ${line}`);
        if (OTHERS.includes(name)) continue;
        const command = program.commands.find((c) => c.name() === name)!;
        for (const [flag] of line.matchAll(/--[a-z-]+/g)) {
          assert(command.options.some((o) => o.long === flag), `${name} has no ${flag}: ${line}`);
        }
      }
    });
  }
});

/** `./dev NAME …` in the text and in shell blocks, with what their comments say; the tutorial writes `dev NAME …`. */
function commandsOf(page: string): string[] {
  const inBlocks = blocksOf(page).filter((b) => b.language === "sh").flatMap((b) => b.code.split("\n"))
    .filter((line) => /^(\.\/)?dev [a-z]/.test(line));
  return [...inBlocks, ...[...textOf(page).matchAll(/`((?:\.\/)?dev [a-z][^`]+)`/g)].map((m) => m[1])];
}
