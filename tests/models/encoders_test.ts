/** Every encoder of ../shared/models against its expected outputs, on both devices; heads, prefixes and old names. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { currentGpu, memory } from "../../sdk/gpu/mod.ts";
import { AutoModel, type BertModel, ENCODERS, savePretrained } from "../../sdk/models/mod.ts";
import { withObserver } from "../../sdk/nn/mod.ts";
import { keep, Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { configOf, modelNames } from "../helpers/models.ts";
import { expectedJson, expectedTensor, modelDir, needsModels } from "./checkpoints.ts";
import { largestDifference } from "./logits.ts";
import { hiddenOf, type Input } from "./encoder_inputs.ts";

const TYPES = ENCODERS.flatMap((f) => f.types);
const NAMES = modelNames().filter((name) => TYPES.includes(String(configOf(name).model_type)));

/** The rows of tokens that are not padding. */
function seen(rows: ArrayLike<number>, { attention_mask }: Input): number[] {
  const width = rows.length / attention_mask.length;
  return attention_mask.flatMap((m, t) => m ? Array.from(rows).slice(t * width, (t + 1) * width) : []);
}

describe(needsModels("encoders"), () => {
  gpuForFile();

  it("has a folder of each family", () => {
    assertEquals(NAMES.length, 4, NAMES.join());
  });

  for (const name of NAMES) {
    it(`${name} gives the expected hidden states`, async () => {
      const inputs = await expectedJson<Input[]>(name, "inputs");
      const before = memory().buffers;
      for (const device of ["webgpu", "reference"] as const) {
        const warnings: string[] = [];
        using model = await AutoModel.fromPretrained(modelDir(name), {
          device,
          onWarning: (w) => warnings.push(w),
        });
        assertEquals(warnings, []);
        for (const input of inputs) {
          const wanted = await expectedTensor(name, "outputs", `${input.name}.last_hidden_state`);
          const off = largestDifference(seen(await hiddenOf(model, input), input), seen(wanted, input));
          assert(off < (device === "webgpu" ? 1e-4 : 1e-5), `${device}, ${input.name}: off by ${off}`);
        }
      }
      assertEquals(memory().buffers, before);
    });

    it(`${name} gives the expected activations on the way`, async () => {
      const [input] = await expectedJson<Input[]>(name, "inputs");
      await using file = await openCheckpoint(`${modelDir(name)}/expected/activations.safetensors`);
      using model = await AutoModel.fromPretrained(modelDir(name), { device: "reference" });
      for (const path of file.tensors.keys()) {
        let found: Tensor | undefined;
        const module = [...model.namedModules()].find(([p]) => p === path)?.[1];
        assert(module, path);
        const call = (m: unknown, _args: readonly unknown[], next: () => unknown) => {
          const out = next();
          if (m === module) found = keep((out as Tensor).reshape((out as Tensor).shape));
          return out;
        };
        await hiddenOf(model, input, (forward) => withObserver({ call }, forward));
        const off = largestDifference(await found!.data(), await expectedTensor(name, "activations", path));
        found!.dispose();
        assert(off < 1e-5, `${path}: off by ${off}`);
      }
    });

    it(`${name} gives about the same in f16, when it was made ready`, async () => {
      if (!currentGpu().features.has("shader-f16")) return;
      const inputs = await expectedJson<Input[]>(name, "inputs");
      using model = await AutoModel.fromPretrained(modelDir(name), { dtype: "f16", ready: true });
      assertEquals(model.dtype, "f16");
      for (const input of inputs) {
        const wanted = await expectedTensor(name, "outputs", `${input.name}.last_hidden_state`);
        const off = largestDifference(seen(await hiddenOf(model, input), input), seen(wanted, input));
        assert(off < 0.02, `${input.name}: off by ${off}`);
      }
    });

    it(`${name} gives its file back`, async () => {
      const dir = await Deno.makeTempDir();
      try {
        using model = await AutoModel.fromPretrained(modelDir(name));
        await savePretrained(model, dir);
        const [now, then] = [dir, modelDir(name)].map((d) => Deno.readFileSync(`${d}/model.safetensors`));
        assert(now.length === then.length && now.every((b, i) => b === then[i]));
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }

  it("gives the expected pooler's output", async () => {
    for (const name of ["minilm-sentence-tiny-random", "roberta-tiny-random"]) {
      using model = await AutoModel.fromPretrained(modelDir(name));
      for (const input of await expectedJson<Input[]>(name, "inputs")) {
        if (input.attention_mask[0] === 0) continue;
        const hidden = await hiddenOf(model, input);
        const pooler = (model as BertModel).pooler!;
        using states = Tensor.from(hidden, { shape: [1, input.input_ids.length, model.config.hidden_size] });
        using out = keep(pooler.call(states));
        const wanted = await expectedTensor(name, "outputs", `${input.name}.pooler_output`);
        assert(largestDifference(await out.data(), wanted) < 1e-4, input.name);
      }
    }
  });
});
