import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openCheckpoint, saveCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { currentGpu } from "../../sdk/gpu/mod.ts";
import { type KernelConfig, kernelize, siteConversions } from "../../sdk/kernelize/mod.ts";
import { type CausalLM, DECODERS, loadCausalLM } from "../../sdk/models/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { configOf, isQuantised, modelNames } from "../helpers/models.ts";
import { haveModels, modelDir, needsModels } from "./checkpoints.ts";
import { EXAMPLE_KERNELS } from "./example_kernels.ts";

const TYPES = DECODERS.flatMap((f) => f.types);

/** Every checkpoint of a family that is known, with the model whose kernels fit it: all stories are one model. */
const MODELS = haveModels
  ? modelNames().filter((name) => TYPES.includes(String(configOf(name).model_type)) && !isQuantised(name))
    .map((name) => ({ name, like: name.replace(/^(stories260k).*/, "$1") }))
  : [];

/** The bytes of every tensor of a checkpoint, with dtype and shape. */
async function tensorsOf(folder: string): Promise<Map<string, string>> {
  await using checkpoint = await openCheckpoint(folder);
  const found = new Map<string, string>();
  for (const { key, dtype, shape, source, offset, bytes } of checkpoint.tensors.values()) {
    const digest = await crypto.subtle.digest("SHA-256", (await source.read(offset, bytes)).slice());
    found.set(key, `${dtype} [${shape}] ${new Uint8Array(digest).toHex()}`);
  }
  return found;
}

async function saved(model: CausalLM, run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await saveCheckpoint(model, folder, { conversions: siteConversions(model) });
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Saves a model, and holds every tensor of the file against the original's. */
async function assertSavedAs(model: CausalLM, name: string): Promise<void> {
  await saved(model, async (folder) => {
    const [now, then] = [await tensorsOf(folder), await tensorsOf(modelDir(name))];
    assertEquals([...now.keys()], [...then.keys()]);
    for (const [key, tensor] of then) assertEquals(now.get(key), tensor, key);
  });
}

describe(needsModels("a checkpoint that was loaded with kernels and saved"), () => {
  gpuForFile();

  for (const { name, like } of MODELS) {
    const fitting = EXAMPLE_KERNELS.filter((k) => like in k.dispatches);
    it(`${name} is the original, without kernels`, async () => {
      using model = await loadCausalLM(modelDir(name));
      await assertSavedAs(model, name);
    });

    for (const { name: kernels, config } of fitting) {
      it(`${name} is the original, with ${kernels}`, async () => {
        using model = await loadCausalLM(modelDir(name), { kernels: config });
        await assertSavedAs(model, name);
      });

      it(`${name} is the original, with ${kernels} put in after loading`, async () => {
        using model = await loadCausalLM(modelDir(name));
        await kernelize(model, config);
        await assertSavedAs(model, name);
      });
    }

    // One kernel after the other: what is converted twice is still the original.
    it(`${name} is the original, after all kernels that fit it took turns`, async () => {
      using model = await loadCausalLM(modelDir(name));
      const configs: KernelConfig[] = fitting.map((k) => k.config);
      for (const config of configs) await kernelize(model, config);
      await assertSavedAs(model, name);
    });
  }

  for (const { name, config } of EXAMPLE_KERNELS.filter((k) => "stories260k" in k.dispatches)) {
    it(`stories260k-f16 is the original, held as f16 with ${name}`, async (t) => {
      if (!currentGpu().features.has("shader-f16")) {
        return void await t.step({ name: "skipped: no shader-f16", ignore: true, fn: () => {} });
      }
      using model = await loadCausalLM(modelDir("stories260k-f16"), { dtype: "f16", kernels: config });
      await assertSavedAs(model, "stories260k-f16");
    });
  }
});
