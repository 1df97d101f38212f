/** A model's folder with links: no file of it is read elsewhere by default, also not those that are saved with it. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { loadCausalLM, loadTokenizer, readConfig, savePretrained } from "../../sdk/models/mod.ts";
import { inFolder, messageOf } from "../checkpoint/files.ts";
import { modelDir, needsModels } from "./checkpoints.ts";

const FILES = ["config.json", "tokenizer.json", "model.safetensors"];
const device = "reference";

/** A folder of the model in which one file is a link to elsewhere. */
async function withLink(linked: string, use: (folder: string) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    for (const name of new Set([...FILES, linked])) {
      const file = `${modelDir("stories260k")}/${name}`;
      if (name !== linked) await Deno.copyFile(file, `${folder}/${name}`);
      else if (FILES.includes(name)) await Deno.symlink(await Deno.realPath(file), `${folder}/${name}`);
      else {
        await Deno.writeTextFile(`${folder}.elsewhere`, "{}");
        await Deno.symlink(`${folder}.elsewhere`, `${folder}/${name}`);
      }
    }
    await use(folder);
    await Deno.remove(`${folder}.elsewhere`).catch(() => {});
  });
}

describe(needsModels("a link to elsewhere"), () => {
  for (const linked of ["config.json", "model.safetensors", "generation_config.json"]) {
    it(`in place of ${linked} is refused by default`, () =>
      withLink(linked, async (folder) => {
        const message = await messageOf(() => loadCausalLM(folder, { device }));
        assertStringIncludes(message, "KW-CHECKPOINT-SHARD");
        assertStringIncludes(message, `${folder}/${linked}`);
        using _ = await loadCausalLM(folder, { device, allowLinks: true });
      }));
  }

  it("in place of the tokenizer and the config is refused where they are read alone", async () => {
    await withLink("tokenizer.json", async (folder) => {
      assertStringIncludes(await messageOf(() => loadTokenizer(folder)), "KW-CHECKPOINT-SHARD");
      assertEquals((await loadTokenizer(folder, { allowLinks: true }))!.decode([403, 407]), "Once upon");
    });
    await withLink("config.json", async (folder) => {
      assertStringIncludes(await messageOf(() => readConfig(folder)), "KW-CHECKPOINT-SHARD");
      assertEquals((await readConfig(folder, undefined, { allowLinks: true })).model_type, "llama");
    });
  });

  it("in place of a file that goes with the model is not copied by default", () =>
    withLink("README.md", async (folder) => {
      using model = await loadCausalLM(folder, { device });
      const message = await messageOf(() => savePretrained(model, `${folder}/saved`));
      assertStringIncludes(message, "KW-CHECKPOINT-WRITE");
      assertStringIncludes(message, "link that leads out");
      using allowed = await loadCausalLM(folder, { device, allowLinks: true });
      await savePretrained(allowed, `${folder}/saved`);
      assertEquals(await Deno.readTextFile(`${folder}/saved/README.md`), "{}");
    }));
});
