import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { currentGpu } from "../../sdk/gpu/mod.ts";
import {
  kernelize,
  kernelReport,
  parseKernelConfig,
  planKernelize,
  unkernelize,
} from "../../sdk/kernelize/mod.ts";
import { buildCausalLM, type CausalLM, generate, loadCausalLM, readConfig } from "../../sdk/models/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { expectedJson, expectedTensor, modelDir, needsModels } from "./checkpoints.ts";
import { EXAMPLE_KERNELS, fittingPairs } from "./example_kernels.ts";
import { largestDifference, logitsOf } from "./logits.ts";

const STORIES = EXAMPLE_KERNELS.filter((k) => "stories260k" in k.dispatches);

/** How far a model's logits are from those that an independent implementation computed. */
async function distance(model: CausalLM, name: string): Promise<number> {
  const ids = await expectedJson<number[]>(name, "input_ids");
  return largestDifference(await logitsOf(model, [ids]), await expectedTensor(name, "logits", "logits"));
}

async function bytesOf(model: CausalLM): Promise<Map<string, Uint8Array>> {
  const bytes = new Map<string, Uint8Array>();
  for (const [name, p] of model.namedParameters()) {
    const data = await p.data();
    bytes.set(name, new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength));
  }
  return bytes;
}

describe(needsModels("the examples' kernels, put in before loading"), () => {
  gpuForFile();

  for (const [{ name, config, dispatches }, model] of fittingPairs()) {
    it(`${model} with ${name} gives its expected logits`, async () => {
      using loaded = await loadCausalLM(modelDir(model), { kernels: config });
      const kept = kernelReport(loaded)!.sites.filter((s) => s.kernel === undefined);
      assertEquals(kept.map((s) => `${s.path}: ${s.reason}`), []);
      const off = await distance(loaded, model);
      assert(off < 1e-4, `off by ${off}`);
    });

    it(`${model} with ${name} runs as many dispatches for a token as its README says`, async () => {
      const counts: number[] = [];
      for (const kernels of [undefined, config]) {
        using loaded = await loadCausalLM(modelDir(model), { kernels });
        using cache = loaded.makeCache({ maxLength: 8 });
        await logitsOf(loaded, [[1, 2, 3]], { cache });
        const before = currentGpu().stream.dispatches;
        await logitsOf(loaded, [[4]], { cache });
        counts.push(currentGpu().stream.dispatches - before);
      }
      assertEquals(counts, [...dispatches[model]]);
    });
  }
});

describe(needsModels("the examples' kernels, put into a loaded model"), () => {
  gpuForFile();

  for (const [{ name, config }, model] of fittingPairs()) {
    it(`${model} with ${name} gives its expected logits, and is then what it was`, async () => {
      using loaded = await loadCausalLM(modelDir(model));
      const before = await bytesOf(loaded);
      const plain = await logitsOf(loaded, [[1, 5, 9]]);
      await kernelize(loaded, config);
      const off = await distance(loaded, model);
      assert(off < 1e-4, `off by ${off}`);
      unkernelize(loaded);
      const after = await bytesOf(loaded);
      assertEquals([...after.keys()], [...before.keys()]);
      for (const [key, bytes] of before) assertEquals(after.get(key), bytes, key);
      assertEquals(await logitsOf(loaded, [[1, 5, 9]]), plain);
    });

    it(`${model} with ${name} gives padded rows the logits of the plain model`, async () => {
      using loaded = await loadCausalLM(modelDir(model));
      const rows = [[1, 7, 3, 9, 4], [0, 0, 1, 8, 2], [0, 0, 0, 0, 1]];
      const [starts, width] = [[0, 2, 4], loaded.config.vocab_size];
      const run = async () => {
        using cache = loaded.makeCache({ batch: 3, maxLength: 7 });
        const prompt = await logitsOf(loaded, rows, { starts, cache });
        // What comes out at a padding token is nobody's.
        const seen = prompt.filter((_, i) => Math.floor(i / width) % 5 >= starts[Math.floor(i / width / 5)]);
        return [...seen, ...await logitsOf(loaded, [[5], [6], [7]], { starts, cache })];
      };
      const plain = await run();
      await kernelize(loaded, config);
      const off = largestDifference(await run(), plain);
      assert(off < 1e-4, `off by ${off}`);
    });

    it(`${model} with ${name} comes and goes between the tokens of a text`, async () => {
      using loaded = await loadCausalLM(modelDir(model));
      const steps = [[1, 7, 3], [9], [4], [2], [8], [6], [5], [3]];
      const run = async (between: (step: number) => unknown) => {
        using cache = loaded.makeCache({ maxLength: 12 });
        const seen: number[] = [];
        for (const [i, ids] of steps.entries()) {
          await between(i);
          seen.push(...await logitsOf(loaded, [ids], { cache }));
        }
        return seen;
      };
      const plain = await run(() => {});
      const mixed = await run((i) =>
        i === 2 || i === 6 ? kernelize(loaded, config) : i === 4 ? unkernelize(loaded) : undefined
      );
      const off = largestDifference(mixed, plain);
      assert(off < 1e-4, `off by ${off}`);
    });
  }
});

describe(needsModels("the kernels.json in an example's README"), () => {
  const root = new URL("../../", import.meta.url);
  const fits: Record<string, string> = {
    "qkv-attention": "qwen3-tiny-random",
    "qkv-parallel": "stories260k",
    "stacked-experts": "mixtral-tiny-random",
    "decoder-layer": "stories260k",
  };
  for (const [example, model] of Object.entries(fits)) {
    it(`swaps what it says: ${example}`, async () => {
      const readme = await Deno.readTextFile(new URL(`examples/${example}/README.md`, root));
      const [, json] = /```json\n(.*?)```/s.exec(readme)!;
      const tree = buildCausalLM(await readConfig(modelDir(model)));
      const { report } = await planKernelize(tree, parseKernelConfig(JSON.parse(json)), { base: root });
      assertEquals(report.swapped.length, tree.config.num_hidden_layers);
    });
  }
});

describe(needsModels("the stories model with the examples' kernels"), () => {
  gpuForFile();

  for (const { name, config } of STORIES) {
    it(`writes its story with ${name}`, async () => {
      const { prompt_ids, new_ids } = await expectedJson<{ prompt_ids: number[]; new_ids: number[] }>(
        "stories260k",
        "greedy",
      );
      using model = await loadCausalLM(modelDir("stories260k"), { kernels: config });
      for (const capture of [false, true]) {
        const options = { maxNewTokens: new_ids.length, eosTokenIds: [], capture };
        const { ids } = await generate(model, [prompt_ids], options);
        assertEquals(ids[0], new_ids, capture ? "captured" : "eager");
      }
    });

    it(`writes its story where ${name} comes and goes between two steps`, async () => {
      const { prompt_ids, new_ids } = await expectedJson<{ prompt_ids: number[]; new_ids: number[] }>(
        "stories260k",
        "greedy",
      );
      using model = await loadCausalLM(modelDir("stories260k"));
      let step = 0;
      let swapping: Promise<unknown> = Promise.resolve();
      const { ids } = await generate(model, [prompt_ids], {
        maxNewTokens: 12,
        eosTokenIds: [],
        capture: true,
        onToken: () => {
          if (++step === 3) swapping = kernelize(model, config);
          if (step === 9) swapping.then(() => unkernelize(model));
        },
      });
      await swapping;
      assertEquals(kernelReport(model), undefined); // both happened
      assertEquals(ids[0], new_ids.slice(0, 12));
    });

    it(`gives each row of a padded batch its own text with ${name}`, async () => {
      const prompts = [[1, 403, 407, 261, 378], [1], [1, 317, 269]];
      const options = { maxNewTokens: 10, eosTokenIds: [] };
      using plain = await loadCausalLM(modelDir("stories260k"));
      using model = await loadCausalLM(modelDir("stories260k"), { kernels: config });
      assertEquals(
        (await generate(model, prompts, options)).ids,
        (await generate(plain, prompts, options)).ids,
      );
    });

    for (const variant of ["stories260k-f16", "stories260k-bf16"]) {
      it(`gives the logits of ${variant} with ${name}`, async () => {
        using model = await loadCausalLM(modelDir(variant), { kernels: config });
        const off = await distance(model, variant);
        assert(off < 1e-4, `off by ${off}`);
      });
    }

    it(`computes in f16 no further off than the plain model does, with ${name}`, async (t) => {
      if (!currentGpu().features.has("shader-f16")) {
        return void await t.step({ name: "skipped: no shader-f16", ignore: true, fn: () => {} });
      }
      using plain = await loadCausalLM(modelDir("stories260k-f16"), { dtype: "f16" });
      using model = await loadCausalLM(modelDir("stories260k-f16"), { dtype: "f16", kernels: config });
      const [its, own] = [await distance(plain, "stories260k-f16"), await distance(model, "stories260k-f16")];
      // Both round as they go, at other places: the share is luck, not the size.
      assert(own < 2 * its && its < 0.1, `off by ${own}, and the plain model by ${its}`);
    });
  }
});
