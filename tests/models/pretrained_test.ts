import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { currentGpu, memory } from "../../sdk/gpu/mod.ts";
import { type CausalLM, generate, loadCausalLM, type PretrainedOptions } from "../../sdk/models/mod.ts";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { expectedJson, expectedTensor, modelDir, needsModels } from "./checkpoints.ts";

const KERNELS = decodeURIComponent(new URL("../../kernels.json", import.meta.url).pathname);
const NORM_ONLY = {
  kernels: [{
    replace: "RMSNorm",
    with: decodeURIComponent(new URL("../../examples/custom-rmsnorm", import.meta.url).pathname) +
      ":CustomRMSNorm",
  }],
};

async function logits(
  model: CausalLM,
  ids: readonly number[],
  device: "webgpu" | "reference" = "webgpu",
): Promise<ArrayLike<number>> {
  const out = keep(
    scope(() => model.call(Tensor.from(Int32Array.from(ids), { shape: [1, ids.length], device }))),
  );
  try {
    return await out.data();
  } finally {
    out.dispose();
  }
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assertEquals(a.length, b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i] - b[i]));
  return most;
}

/** Loads, compares the prompt's logits with the expected ones, and returns how far off they are. */
async function distance(name: string, options: PretrainedOptions, expectedFrom = name): Promise<number> {
  using model = await loadCausalLM(modelDir(name), options);
  const ids = await expectedJson<number[]>(expectedFrom, "input_ids");
  return largestDifference(
    await logits(model, ids, options.device),
    await expectedTensor(expectedFrom, "logits", "logits"),
  );
}

describe(needsModels("a pretrained model"), () => {
  gpuForFile();

  for (
    const name of [
      "stories260k",
      "qwen3-tiny-random",
      "mixtral-tiny-random",
      "stories260k-f16",
      "stories260k-bf16",
    ]
  ) {
    it(`${name} gives its expected logits`, async () => {
      const off = await distance(name, {});
      assert(off < 1e-4, `off by ${off}`);
    });
  }

  for (const name of ["stories260k", "qwen3-tiny-random", "mixtral-tiny-random"]) {
    it(`${name} gives its expected logits on the reference device`, async () => {
      const off = await distance(name, { device: "reference" });
      assert(off < 1e-6, `off by ${off}`);
    });
  }

  it("stories260k gives its expected logits with kernels", async () => {
    const off = await distance("stories260k", { kernels: KERNELS });
    assert(off < 1e-4, `off by ${off}`);
  });

  it("qwen3 gives its expected logits with kernels", async () => {
    const off = await distance("qwen3-tiny-random", { kernels: KERNELS });
    assert(off < 1e-4, `off by ${off}`);
  });

  it("mixtral gives its expected logits with a kernel for its norms", async () => {
    const off = await distance("mixtral-tiny-random", { kernels: NORM_ONLY });
    assert(off < 1e-4, `off by ${off}`);
  });

  it("the sharded checkpoint gives the logits of the single file", async () => {
    const off = await distance("stories260k-sharded", {}, "stories260k");
    assert(off < 1e-4, `off by ${off}`);
  });

  for (const kernels of [undefined, KERNELS]) {
    it(`stories260k writes its story ${kernels ? "with kernels" : "plain"}`, async () => {
      const { prompt_ids, new_ids } = await expectedJson<{ prompt_ids: number[]; new_ids: number[] }>(
        "stories260k",
        "greedy",
      );
      using model = await loadCausalLM(modelDir("stories260k"), { kernels });
      const { ids } = await generate(model, [prompt_ids], { maxNewTokens: new_ids.length, eosTokenIds: [] });
      assertEquals(ids[0], new_ids);
    });
  }

  it("kernelized for the second time after its weights are gone still loads", async () => {
    using a = await loadCausalLM(modelDir("stories260k"), { kernels: KERNELS });
    using b = await loadCausalLM(modelDir("stories260k"));
    const ids = [1, 403, 407];
    assert(largestDifference(await logits(a, ids), await logits(b, ids)) < 1e-4);
  });
});

describe(needsModels("generate()"), () => {
  gpuForFile();

  it("gives each row of a padded batch what it gives the row alone", async () => {
    using model = await loadCausalLM(modelDir("stories260k"));
    const prompts = [[1, 403, 407, 261, 378], [1], [1, 317, 269]];
    const options = { maxNewTokens: 12, eosTokenIds: [] };
    const together = await generate(model, prompts, options);
    for (const [row, prompt] of prompts.entries()) {
      assertEquals(together.ids[row], (await generate(model, [prompt], options)).ids[0], `row ${row}`);
    }
  });

  it("gives nothing for an empty batch, and nothing for no tokens", async () => {
    using model = await loadCausalLM(modelDir("stories260k"));
    assertEquals((await generate(model, [], { maxNewTokens: 4 })).ids, []);
    assertEquals((await generate(model, [[1]], { maxNewTokens: 0 })).ids, [[]]);
  });

  it("stops each row at its end-of-text id", async () => {
    using model = await loadCausalLM(modelDir("stories260k"));
    const { ids } = await generate(model, [[1], [1, 317]], { maxNewTokens: 6, eosTokenIds: [407] });
    assertEquals(ids[0], [403, 407]);
    assertEquals(ids[1].length, 6);
  });

  it("draws the same ids by the same seed, captured and eager, and others by another", async () => {
    using model = await loadCausalLM(modelDir("stories260k"));
    const prompts = [[1], [1, 317, 269], [1]];
    const draw = (seed: number | undefined, capture: boolean) =>
      generate(model, prompts, {
        maxNewTokens: 16,
        eosTokenIds: [],
        capture,
        sampling: { temperature: 1.2, topK: 40, topP: 0.95, seed },
      });
    const eager = await draw(11, false);
    assertEquals(eager.seed, 11);
    assertEquals((await draw(11, true)).ids, eager.ids);
    assertNotEquals(eager.ids[0], eager.ids[2], "rows draw for themselves");
    assertNotEquals((await draw(12, false)).ids, eager.ids);
    const chosen = await draw(undefined, true);
    assertEquals((await draw(chosen.seed, false)).ids, chosen.ids);
    assertEquals((await generate(model, [[1]], { maxNewTokens: 4 })).seed, undefined);
  });

  it("refuses prompts that the model cannot read, naming row and position", async () => {
    using model = await loadCausalLM(modelDir("stories260k"));
    for (
      const [prompt, message] of [[[], "empty prompt (row 1)"], [[1, 512], "id 512 at position 1 of row 1"], [
        [1, -1],
        "id -1",
      ]] as const
    ) {
      const error = await generate(model, [[1], prompt], { maxNewTokens: 1 }).then(() => undefined, (e) => e);
      assertEquals(error?.code, "KW-GENERATE-PROMPT");
      assert(error.message.includes(message), error.message);
    }
  });

  it("refuses more tokens than the model has positions for, and takes as many", async () => {
    using model = await loadCausalLM(modelDir("stories260k"));
    const { max_position_embeddings: most } = model.config;
    const prompt = Array.from({ length: most - 2 }, () => 1);
    const run = (maxNewTokens: number) => generate(model, [prompt, [1]], { maxNewTokens, eosTokenIds: [] });
    const error = await run(4).then(() => undefined, (e) => e);
    assertEquals(error?.code, "KW-GENERATE-PROMPT");
    assert(error.message.includes("at most 3 (maxNewTokens)"), error.message);
    assertEquals((await run(3)).ids.map((row) => row.length), [3, 3]);
  });

  it("holds after two hundred forward passes what it held after the first", async () => {
    using model = await loadCausalLM(modelDir("stories260k"), { kernels: KERNELS });
    const ids = [1, 403, 407, 261];
    await logits(model, ids);
    currentGpu().trim();
    const before = memory();
    for (let i = 0; i < 199; i++) {
      scope(() => void model.call(Tensor.from(Int32Array.from(ids), { shape: [1, 4] })));
    }
    await logits(model, ids);
    currentGpu().trim();
    const after = memory();
    assertEquals([after.tensors, after.buffers, after.bytes, after.pooledBytes], [
      before.tensors,
      before.buffers,
      before.bytes,
      before.pooledBytes,
    ]);
  });

  it("makes no new buffer in the second run of a static model", async () => {
    using model = await loadCausalLM(modelDir("stories260k"));
    await logits(model, [1, 2, 3]);
    const { created } = memory();
    await logits(model, [4, 5, 6]);
    assertEquals(memory().created, created);
  });
});
