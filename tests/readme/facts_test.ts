import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { join } from "@std/path";
import { deno, ROOT } from "../docs/deno.ts";
import { writeTinyEmbedder } from "../docs/tiny_model.ts";
import { blocksOf, textOf } from "../docs/page.ts";
import { modelFolder } from "../helpers/models.ts";

const config: { name: string; imports: Record<string, string> } = JSON.parse(
  Deno.readTextFileSync(join(ROOT, "deno.json")),
);
const README = textOf("README.md");

/** The commands in the readme's shell blocks, without their comments. */
const COMMANDS = blocksOf("README.md").filter((b) => b.language === "sh")
  .flatMap((b) => b.code.split("\n")).map((line) => line.replace(/\s+#.*/, "")).filter((line) => line !== "");

/** Run by hand, since they run everything. */
const WHOLE = ["./dev test", "./dev demo"];

describe("what the readme says", () => {
  it("lists each dependency, and nothing else", () => {
    const table = README.slice(README.indexOf("## What it depends on"));
    const listed = [...table.matchAll(/^\|([^|]*)\|/gm)].flatMap(([, cell]) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name)
    );
    const outside = Object.entries(config.imports).filter(([, to]) => /^(npm|jsr):/.test(to));
    assertEquals(listed.sort(), outside.map(([name]) => name).sort());
  });

  it("adds the package by its name", () => {
    const adds = COMMANDS.filter((line) => line.startsWith("deno "));
    assertEquals(adds, [`deno add jsr:${config.name}`]);
  });

  it("begins with a program that runs", async () => {
    const folder = Deno.makeTempDirSync({ prefix: "kernelwright-readme-" });
    try {
      const file = join(folder, "first.ts");
      const [first] = blocksOf("README.md").filter((b) => b.language === "ts");
      Deno.writeTextFileSync(file, first.code);
      const said = await deno(["run", "-A"], [file], folder);
      assert(said.includes("0.6652"), said); // e³ / (e + e² + e³)
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });

  const model = modelFolder("stories260k");
  for (const line of COMMANDS.filter((line) => line.startsWith("./dev ") && !WHOLE.includes(line))) {
    it(`\`${line}\` runs`, { ignore: !model }, async () => {
      const folder = Deno.makeTempDirSync({ prefix: "kernelwright-readme-" });
      try {
        const dir = line.startsWith("./dev embed") ? join(folder, "sentences") : model!;
        if (dir !== model) await writeTinyEmbedder(dir); // no decoder says how texts are pooled
        const words = [...line.matchAll(/"([^"]*)"|\S+/g)].slice(1).map(([word, quoted]) => quoted ?? word);
        const args = words.map((word) =>
          word === "DIR" ? dir : word === "kernels.json" ? join(ROOT, word) : word.replace(/^\.\./, folder)
        );
        await deno(["run", "-A", "--no-check"], [join(ROOT, "sdk", "cli", "main.ts"), ...args], folder);
      } finally {
        Deno.removeSync(folder, { recursive: true });
      }
    });
  }
});
