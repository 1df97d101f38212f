/**
 * Every decoder of ../shared/models against its expected outputs: logits, activations where they are told, and the
 * greedy continuation, with a cache, captured, and on both devices. What no family reads is refused by name.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import { DECODERS, generate, loadCausalLM } from "../../sdk/models/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { configOf, isQuantised, modelNames } from "../helpers/models.ts";
import { expectedJson, expectedTensor, modelDir, needsModels } from "./checkpoints.ts";
import { logitsOf } from "./logits.ts";

interface Greedy {
  readonly new_ids: number[];
  readonly safe_count: number;
}

const types = DECODERS.flatMap((f) => f.types);
const names = modelNames().filter((name) => /-tiny-random$/.test(name));
const decoders = names.filter((name) => types.includes(String(configOf(name).model_type)));

function hasExpected(name: string, file: string): boolean {
  try {
    return Deno.statSync(`${modelDir(name)}/expected/${file}.json`).isFile;
  } catch {
    return false;
  }
}

function largest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assertEquals(a.length, b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

describe(needsModels("the ladder of decoders"), () => {
  gpuForFile();

  for (const name of decoders) {
    it(`${name} gives the expected logits, and the ids after them`, async () => {
      const ids = await expectedJson<number[]>(name, "input_ids");
      const logits = await expectedTensor(name, "logits", "logits");
      const before = memory().tensors;
      for (const device of ["webgpu", "reference"] as const) {
        using model = await loadCausalLM(modelDir(name), { device });
        const off = largest(await logitsOf(model, [ids]), logits);
        assert(off < (device === "webgpu" ? 1e-4 : 1e-5), `${device}: off by ${off}`);
        for (const [input, continuation] of [["input_ids", "greedy"], ["short_input_ids", "short_greedy"]]) {
          if (!hasExpected(name, continuation)) continue;
          const prompt = await expectedJson<number[]>(name, input);
          const { new_ids, safe_count } = await expectedJson<Greedy>(name, continuation);
          const count = Math.min(safe_count, new_ids.length, device === "webgpu" ? 32 : 8);
          for (const capture of device === "webgpu" ? [false, true] : [false]) {
            const made = await generate(model, [prompt], { maxNewTokens: count, eosTokenIds: [], capture });
            assertEquals(made.ids[0], new_ids.slice(0, count), `${device}${capture ? ", captured" : ""}`);
          }
        }
      }
      assertEquals(memory().tensors, before);
    });
  }

  for (const name of modelNames().filter((n) => isQuantised(n) && configOf(n).model_type)) {
    it(`${name} is refused, naming what is not supported`, async () => {
      const error = await assertRejects(() => loadCausalLM(modelDir(name)), KernelwrightError);
      assertEquals(error.code, "KW-CONFIG-VALUE");
      assert(/quantization/.test(error.message), error.message);
    });
  }
});
