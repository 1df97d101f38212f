import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Command } from "commander";
import { registerDemo } from "../../sdk/cli/demo.ts";
import { registerInspect } from "../../sdk/cli/inspect.ts";
import { registerReport } from "../../sdk/cli/report.ts";
import { registerRun } from "../../sdk/cli/run.ts";
import { modelDir, needsModels } from "../models/checkpoints.ts";

const MAIN = decodeURIComponent(new URL("../../sdk/cli/main.ts", import.meta.url).pathname);

async function cli(...args: string[]): Promise<{ code: number; stderr: string }> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", MAIN, ...args],
    env: { NO_COLOR: "1" },
  });
  const { code, stderr } = await command.output();
  return { code, stderr: new TextDecoder().decode(stderr) };
}

describe("--allow-links", () => {
  it("is an option of every command that reads a model's folder", () => {
    const program = new Command();
    for (const register of [registerRun, registerDemo, registerInspect, registerReport]) register(program);
    for (const command of program.commands) {
      assert(command.options.some((o) => o.long === "--allow-links"), command.name());
    }
  });
});

describe(needsModels("a folder of links to elsewhere"), () => {
  it("is refused by the commands, with the option that allows it", async () => {
    const folder = await Deno.makeTempDir();
    try {
      for (const name of ["config.json", "tokenizer.json", "model.safetensors"]) {
        await Deno.symlink(await Deno.realPath(`${modelDir("stories260k")}/${name}`), `${folder}/${name}`);
      }
      const run = ["run", "--model", folder, "--ids", "1", "--max-new-tokens", "1", "--device", "reference"];
      for (const args of [["inspect", folder], run]) {
        const refused = await cli(...args);
        assertEquals(refused.code, 1);
        assertStringIncludes(refused.stderr, "KW-CHECKPOINT-SHARD");
        assertStringIncludes(refused.stderr, "give --allow-links");
        const { code, stderr } = await cli(...args, "--allow-links");
        assertEquals(code, 0, stderr);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
});
