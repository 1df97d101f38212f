import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { currentGpu } from "../../sdk/gpu/mod.ts";
import { generate, loadCausalLM } from "../../sdk/models/mod.ts";
import { forgetWinners } from "../../sdk/host/mod.ts";
import { measuredOn } from "../../sdk/ops/matmul/choice.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { modelFolder } from "../helpers/models.ts";

const dir = modelFolder("stories260k");
const kernels = decodeURIComponent(new URL("../../kernels.json", import.meta.url).pathname);

describe("ready()", { ignore: !dir }, () => {
  gpuForFile();

  for (const options of [{}, { kernels }]) {
    it(`leaves no pipeline for the first run to compile${options.kernels ? ", kernels' neither" : ""}`, async () => {
      using model = await loadCausalLM(dir!, options);
      await model.ready({ tokens: [1, 5] });
      const { size } = currentGpu().pipelines;
      await generate(model, [[1, 2, 3, 4, 5]], { maxNewTokens: 3, eosTokenIds: [] });
      assertEquals(currentGpu().pipelines.size, size);
    });
  }

  for (const name of ["olmo2", "granite", "gemma2", "gemma3"]) {
    it(`leaves ${name} no pipeline for the first run to compile`, async () => {
      using model = await loadCausalLM(modelFolder(`${name}-tiny-random`)!);
      await model.ready({ tokens: [1, 5, 16] });
      const { size } = currentGpu().pipelines;
      for (const tokens of [5, 16]) {
        const prompt = Array.from({ length: tokens }, (_, i) => i + 3);
        await generate(model, [prompt], { maxNewTokens: 3, eosTokenIds: [], capture: tokens === 16 });
      }
      assertEquals(currentGpu().pipelines.size, size);
    });
  }

  it("changes no number, and costs nothing the second time", async () => {
    using plain = await loadCausalLM(dir!);
    const expected = await generate(plain, [[1, 5, 9]], { maxNewTokens: 8, eosTokenIds: [] });
    using model = await loadCausalLM(dir!, { ready: true });
    const before = currentGpu().stream.dispatches;
    await model.ready();
    const again = currentGpu().stream.dispatches - before;
    assert(again < 400, `${again} dispatches`); // a run of two lengths, no pipeline
    const made = await generate(model, [[1, 5, 9]], { maxNewTokens: 8, eosTokenIds: [] });
    assertEquals(made.ids, expected.ids);
  });

  it("measures what is not known of the adapter, once for all processes", async () => {
    const folder = await Deno.makeTempDir();
    const before = Deno.env.get("XDG_CACHE_HOME");
    Deno.env.set("XDG_CACHE_HOME", folder);
    const measured = measuredOn(currentGpu());
    measured.clear();
    forgetWinners();
    try {
      using model = await loadCausalLM(dir!);
      await model.ready({ tokens: [1], probe: false });
      assertEquals([...measured], []);
      await model.ready({ tokens: [1] });
      const found = [...measured];
      assert(
        found.length > 0 && found.every(([shape]) => shape.startsWith("linear f32 1 x ")),
        String(found),
      );
      const stored = JSON.parse(await Deno.readTextFile(`${folder}/kernelwright/winners.json`));
      assertEquals(stored.entries.length, found.length);
      measured.clear(); // as another process would begin
      forgetWinners();
      const made = currentGpu().pipelines.size;
      await model.ready({ tokens: [1] });
      assertEquals([...measured], found);
      assertEquals(currentGpu().pipelines.size, made, "nothing was measured again");
    } finally {
      measured.clear();
      if (before === undefined) Deno.env.delete("XDG_CACHE_HOME");
      else Deno.env.set("XDG_CACHE_HOME", before);
      await Deno.remove(folder, { recursive: true });
    }
  });

  it("is given up with the loading", async () => {
    await assertRejects(() => loadCausalLM("/nowhere", { ready: true }), Error, "KW-MODEL-TYPE");
  });
});
