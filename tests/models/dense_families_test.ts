/** What the ladder does not hold: rows of a padded batch, f16, and the examples that a trace starts from. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { currentGpu, memory } from "../../sdk/gpu/mod.ts";
import { buildCausalLM, generate, loadCausalLM, readConfig } from "../../sdk/models/mod.ts";
import { scope, type Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { expectedJson, expectedTensor, modelDir, needsModels } from "./checkpoints.ts";
import { largestDifference, logitsOf } from "./logits.ts";

describe(needsModels("OLMo 2, Granite and Gemma"), () => {
  gpuForFile();

  for (const name of ["olmo2", "granite", "gemma2", "gemma3"].map((n) => `${n}-tiny-random`)) {
    it(`${name} gives each row of a padded batch its own text, past its window`, async () => {
      const ids = await expectedJson<number[]>(name, "input_ids");
      const before = memory().tensors;
      {
        using model = await loadCausalLM(modelDir(name));
        const prompts = [ids.slice(0, 12), ids.slice(3, 10), [7]];
        const options = { maxNewTokens: 12, eosTokenIds: [] };
        const together = await generate(model, prompts, options);
        for (const [i, prompt] of prompts.entries()) {
          assertEquals(together.ids[i], (await generate(model, [prompt], options)).ids[0], `row ${i}`);
        }
      }
      assertEquals(memory().tensors, before);
    });

    it(`${name} computes in f16`, async (t) => {
      if (!currentGpu().features.has("shader-f16")) {
        return void await t.step({ name: "skipped: no shader-f16", ignore: true, fn: () => {} });
      }
      using model = await loadCausalLM(modelDir(name), { dtype: "f16" });
      assertEquals(model.dtype, "f16");
      const ids = await expectedJson<number[]>(name, "input_ids");
      const logits = await expectedTensor(name, "logits", "logits");
      const off = largestDifference(await logitsOf(model, [ids]), logits);
      assert(off < 0.1, `off by ${off}`);
    });

    it(`${name} runs on the inputs that it names as examples`, async () => {
      const model = buildCausalLM(await readConfig(modelDir(name)));
      scope(() => {
        for (const [ids, inputs] of model.exampleInputs() as [Tensor, object?][]) {
          const { shape, device } = model.call(ids, inputs);
          assertEquals([shape, device], [[1, ids.shape[1], model.config.vocab_size], "meta"]);
        }
      });
    });
  }
});
