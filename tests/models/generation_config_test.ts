import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { generate, loadCausalLM, parseGenerationConfig, savePretrained } from "../../sdk/models/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { modelDir, needsModels } from "./checkpoints.ts";

async function failure(work: Promise<unknown>): Promise<KernelwrightError> {
  const error = await work.then(() => undefined, (e) => e);
  assert(error instanceof KernelwrightError, String(error));
  return error;
}

/** Runs `fn` on a folder of the model with other files beside it. */
async function withFolder(
  files: Record<string, unknown>,
  fn: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const name of ["config.json", "model.safetensors"]) {
      await Deno.copyFile(`${modelDir("stories260k")}/${name}`, `${dir}/${name}`);
    }
    for (const [name, content] of Object.entries(files)) {
      const text = typeof content === "string" ? content : JSON.stringify(content);
      await Deno.writeTextFile(`${dir}/${name}`, text);
    }
    await fn(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

describe(needsModels("generation_config.json"), () => {
  gpuForFile();

  it("tells where a text ends, unless the caller does", async () => {
    using plain = await loadCausalLM(modelDir("stories260k"));
    const { ids: [all] } = await generate(plain, [[1]], { maxNewTokens: 8, eosTokenIds: [] });
    for (const eos of [[99, all[3], 98], all[3]]) {
      await withFolder({ "generation_config.json": { eos_token_id: eos } }, async (dir) => {
        using model = await loadCausalLM(dir);
        for (const capture of [false, true]) {
          const run = (eosTokenIds?: number[]) =>
            generate(model, [[1]], { maxNewTokens: 8, capture, eosTokenIds });
          assertEquals((await run()).ids[0], all.slice(0, 4));
          assertEquals((await run([])).ids[0], all);
          assertEquals((await run([all[1]])).ids[0], all.slice(0, 2));
        }
      });
    }
    await withFolder({ "generation_config.json": { eos_token_id: null } }, async (dir) => {
      using model = await loadCausalLM(dir);
      assertEquals(model.generation_config?.eos_token_ids, undefined); // then config.json's
    });
  });

  it("tells how ids are drawn where it has do_sample, and the caller's options go before", async () => {
    const file = { do_sample: true, temperature: 4, top_k: 30, top_p: 0.95, eos_token_id: [] };
    await withFolder({ "generation_config.json": file }, async (dir) => {
      using model = await loadCausalLM(dir);
      const options = { maxNewTokens: 12, eosTokenIds: [] };
      const drawn = await generate(model, [[1]], options);
      assertEquals(typeof drawn.seed, "number");
      const { seed } = drawn;
      const asTold = { temperature: 4, topK: 30, topP: 0.95, seed };
      assertEquals((await generate(model, [[1]], { ...options, sampling: asTold })).ids, drawn.ids);
      assertEquals((await generate(model, [[1]], { ...options, sampling: { seed } })).ids, drawn.ids);
      const greedy = await generate(model, [[1]], { ...options, sampling: false });
      assertEquals(greedy.seed, undefined);
      const one = await generate(model, [[1]], { ...options, sampling: { topK: 1, seed } });
      assertEquals(one.ids, greedy.ids);
      assertNotEquals(drawn.ids, greedy.ids);
    });
    await withFolder({ "generation_config.json": { temperature: 0.6, top_k: 1 } }, async (dir) => {
      using model = await loadCausalLM(dir);
      assertEquals((await generate(model, [[1]], { maxNewTokens: 2 })).seed, undefined);
    });
  });

  it("is an error of generate where it asks for what would change ids and is not supported", async () => {
    const file = { repetition_penalty: 1.05, num_beams: 4, bad_words_ids: [[3]], transformers_version: "4" };
    await withFolder({ "generation_config.json": file }, async (dir) => {
      using model = await loadCausalLM(dir);
      const error = await failure(generate(model, [[1]], { maxNewTokens: 2 }));
      assertEquals(error.code, "KW-GENERATE-CONFIG");
      assertStringIncludes(error.message, "repetition_penalty 1.05, num_beams 4, bad_words_ids [[3]]");
      const { ids } = await generate(model, [[1]], { maxNewTokens: 2, unsupported: "ignore" });
      assertEquals(ids[0].length, 2);
    });
  });

  it("is refused where a value is impossible, and names what nobody knows", async () => {
    const neutral = { repetition_penalty: 1, num_beams: 1, min_p: null, suppress_tokens: [], top_k: 0 };
    assertEquals(parseGenerationConfig(neutral).unsupported, []);
    assertEquals(parseGenerationConfig({ eos_token_id: -1 }).eos_token_ids, undefined);
    assertEquals(parseGenerationConfig({ max_length: 20, novel: 1, __proto__x: 2 }).unknown, [
      "novel",
      "__proto__x",
    ]);
    for (
      const [value, key] of [
        [{ eos_token_id: "2" }, "eos_token_id"],
        [{ eos_token_id: [1, 2.5] }, "eos_token_id"],
        [{ temperature: -1 }, "temperature"],
        [{ do_sample: true, temperature: 0 }, "temperature"],
        [{ top_p: 90 }, "top_p"],
        [{ top_k: 1.5 }, "top_k"],
        [{ do_sample: "yes" }, "do_sample"],
        [[], "the file"],
        [null, "the file"],
      ] as const
    ) {
      await withFolder({ "generation_config.json": value }, async (dir) => {
        const error = await failure(loadCausalLM(dir));
        assertEquals(error.code, "KW-GENERATE-CONFIG");
        assertStringIncludes(error.message, key);
      });
    }
    await withFolder({ "generation_config.json": "{" }, async (dir) => {
      assertEquals((await failure(loadCausalLM(dir))).code, "KW-GENERATE-CONFIG");
    });
  });
});

describe(needsModels("saving the files beside the weights"), () => {
  gpuForFile();

  const OTHERS = {
    "generation_config.json": '{ "eos_token_id": [2, 7] }',
    "tokenizer.json": '{"a": 1}',
    "tokenizer_config.json": "{}",
    "tokenizer.model": "sentencepiece",
    "chat_template.jinja": "{{ messages }}",
    "LICENSE": "MIT",
    "README.md": "# A model",
    "my-notes.txt": "anything else",
  };
  const WEIGHTS = {
    "pytorch_model.bin": "w",
    "pytorch_model.bin.index.json": "{}",
    "model-q4.gguf": "w",
    "tf_model.h5": "w",
    "flax_model.msgpack": "w",
    "other.safetensors": "w",
    "kernels.json": '{"kernels": []}',
    ".model.safetensors.1234abcd.tmp": "w",
  };

  it("saves every one that holds no weights, byte by byte, from folders and picked files", async () => {
    await withFolder({ ...OTHERS, ...WEIGHTS }, async (dir) => {
      await Deno.mkdir(`${dir}/onnx`);
      const names = [...Object.keys(OTHERS), "config.json", "model.safetensors"];
      const picked = Object.fromEntries(
        await Promise.all(
          names.map(async (name) => [name, new Blob([await Deno.readFile(`${dir}/${name}`)])]),
        ),
      );
      for (const from of [dir, picked]) {
        const target = await Deno.makeTempDir();
        try {
          using model = await loadCausalLM(from);
          await savePretrained(model, target);
          const found = [...Deno.readDirSync(target)].map((entry) => entry.name).sort();
          assertEquals(found, names.toSorted());
          for (const name of names.filter((n) => n !== "config.json")) {
            assertEquals(
              await Deno.readFile(`${target}/${name}`),
              await Deno.readFile(`${dir}/${name}`),
              name,
            );
          }
          using again = await loadCausalLM(target);
          assertEquals(again.generation_config?.eos_token_ids, [2, 7]);
        } finally {
          await Deno.remove(target, { recursive: true });
        }
      }
      using model = await loadCausalLM(dir);
      await savePretrained(model, dir); // into itself: they are there
      assertEquals(await Deno.readTextFile(`${dir}/LICENSE`), "MIT");
    });
  });

  it("says before anything is written that they have gone, and saves without", async () => {
    let kept: Awaited<ReturnType<typeof loadCausalLM>> | undefined;
    await withFolder(OTHERS, async (dir) => {
      kept = await loadCausalLM(dir);
    });
    using model = kept!;
    const target = `${await Deno.makeTempDir()}/new`;
    const error = await failure(savePretrained(model, target));
    assertEquals(error.code, "KW-CHECKPOINT-WRITE");
    assertStringIncludes(error.message, "otherFiles: false");
    assert(await Deno.stat(target).then(() => false, () => true));
    await savePretrained(model, target, { otherFiles: false });
    assertEquals([...Deno.readDirSync(target)].map((e) => e.name).sort(), [
      "config.json",
      "model.safetensors",
    ]);
    const aborted = await failure(savePretrained(model, `${target}2`, { signal: AbortSignal.abort(1) }));
    assertEquals([aborted.code, aborted.cause], ["KW-ABORTED", 1]);
    assert(await Deno.stat(`${target}2`).then(() => false, () => true));
    await Deno.remove(target, { recursive: true });
  });
});
