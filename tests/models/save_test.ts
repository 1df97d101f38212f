import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { RMSNormMLP } from "../../examples/rmsnorm-mlp/mod.ts";
import { fuse, kernelReport } from "../../sdk/kernelize/mod.ts";
import { generate, loadCausalLM, savePretrained } from "../../sdk/models/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { modelDir, needsModels } from "./checkpoints.ts";

const KERNELS = decodeURIComponent(new URL("../../kernels.json", import.meta.url).pathname);

describe(needsModels("savePretrained()"), () => {
  gpuForFile();

  it("saves a kernelized model as the original, with its config and kernels, which a trusting reader picks up", async () => {
    const dir = await Deno.makeTempDir();
    try {
      const source = modelDir("stories260k");
      using model = await loadCausalLM(source, { kernels: KERNELS });
      await savePretrained(model, dir);
      assertEquals(
        await Deno.readFile(`${dir}/model.safetensors`),
        await Deno.readFile(`${source}/model.safetensors`),
      );
      const config = async (d: string) => JSON.parse(await Deno.readTextFile(`${d}/config.json`));
      assertEquals(await config(dir), await config(source));
      using plain = await loadCausalLM(dir);
      assertEquals(kernelReport(plain), undefined);
      using again = await loadCausalLM(dir, { trust: true });
      assertEquals(kernelReport(again)?.swapped.length, kernelReport(model)?.swapped.length);
      const ids = async (m: typeof model) => (await generate(m, [[1]], { maxNewTokens: 8 })).ids;
      assertEquals(await ids(again), await ids(plain));
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });

  for (const name of ["olmo2", "granite", "gemma2", "gemma3"]) {
    it(`saves ${name} as the original, byte by byte`, async () => {
      const dir = await Deno.makeTempDir();
      try {
        const source = modelDir(`${name}-tiny-random`);
        using model = await loadCausalLM(source);
        await savePretrained(model, dir);
        for (const file of ["model.safetensors", "config.json"]) {
          const read = (d: string) => Deno.readFile(`${d}/${file}`);
          const text = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));
          const [now, then] = [await read(dir), await read(source)];
          if (file === "config.json") assertEquals(text(now), text(then));
          else assertEquals(now, then);
        }
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }

  it("names kernels by where they are when their references started in the working folder", async () => {
    const dir = await Deno.makeTempDir();
    try {
      const { kernels } = JSON.parse(await Deno.readTextFile(KERNELS));
      using model = await loadCausalLM(modelDir("stories260k"), { kernels: { kernels } });
      await savePretrained(model, dir);
      const saved = JSON.parse(await Deno.readTextFile(`${dir}/kernels.json`));
      assertEquals(
        saved.kernels.map((k: { with: string }) => k.with),
        kernels.map((k: { with: string }) => new URL(k.with, new URL("../../", import.meta.url)).href),
      );
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });

  it("refuses to name a class in kernels.json before it writes anything, and saves without", async () => {
    const dir = `${await Deno.makeTempDir()}/new`;
    const parts = [["RMSNorm", "model.layers.*.post_attention_layernorm"], [
      "LlamaMLP",
      "model.layers.*.mlp",
    ]] as const;
    using model = await loadCausalLM(modelDir("stories260k"), {
      kernels: { kernels: [fuse(parts, RMSNormMLP)] },
    });
    await assertRejects(() => savePretrained(model, dir), Error, "KW-CONFIG-KERNELS");
    assert(await Deno.stat(dir).then(() => false, () => true));
    await savePretrained(model, dir, { kernels: false, maxShardSize: "400KB" });
    assert((await Deno.stat(`${dir}/model.safetensors.index.json`)).isFile);
    using back = await loadCausalLM(dir);
    assertEquals(
      (await generate(back, [[1]], { maxNewTokens: 4 })).ids,
      (await generate(model, [[1]], { maxNewTokens: 4 })).ids,
    );
    await Deno.remove(dir, { recursive: true });
  });
});
