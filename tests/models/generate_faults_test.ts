import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { currentGpu, memory } from "../../sdk/gpu/mod.ts";
import { kernel, Layout, layout, rename, replaces } from "../../sdk/authoring/mod.ts";
import { KernelwrightError } from "../../sdk/errors.ts";
import { kernelize, replace } from "../../sdk/kernelize/mod.ts";
import { embedding } from "../../sdk/ops/mod.ts";
import {
  type CausalLM,
  type DecoderLM,
  generate,
  type GenerateOptions,
  loadCausalLM,
} from "../../sdk/models/mod.ts";
import { Embedding } from "../../sdk/nn/mod.ts";
import { type Parameter, parameter, Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { modelDir, needsModels } from "./checkpoints.ts";

type Device = "webgpu" | "reference";

async function failure(work: Promise<unknown>): Promise<KernelwrightError> {
  const error = await work.then(() => undefined, (e) => e);
  assert(error instanceof KernelwrightError, String(error));
  return error;
}

/** Puts a value into a parameter, at one of its elements or at all. */
async function poison(model: CausalLM, key: string, value: number, at?: number): Promise<void> {
  const p = model.stateDict().get(key) as Parameter;
  const data = Float32Array.from(await p.data() as ArrayLike<number>);
  if (at === undefined) data.fill(value);
  else data[at] = value;
  p.assign(Tensor.from(data, { shape: p.shape, device: p.device }));
}

const site = replaces(Embedding);

@layout({ site, conversions: [rename("weight", "table")] })
class TableLayout extends Layout {
  constructor(num_embeddings: number, embedding_dim: number) {
    super();
    this.table = parameter([num_embeddings, embedding_dim]);
  }
  table;
}

@kernel({ site, layout: TableLayout })
class TableEmbedding {
  forward(this: TableLayout, ids: Tensor): Tensor {
    return embedding(ids, this.table);
  }
}

const GREEDY: GenerateOptions = { maxNewTokens: 6, eosTokenIds: [] };

describe(needsModels("generate() from a model that is broken"), () => {
  gpuForFile();

  const ways: [string, Partial<GenerateOptions>, Device][] = [
    ["greedily", {}, "webgpu"],
    ["captured", { capture: true }, "webgpu"],
    ["by drawing", { sampling: { temperature: 0.8, topK: 20, seed: 3 } }, "webgpu"],
    ["by drawing, captured", { sampling: { topP: 0.9, seed: 3 }, capture: true }, "webgpu"],
    ["greedily on the reference device", {}, "reference"],
    ["by drawing on the reference device", { sampling: { seed: 1 } }, "reference"],
  ];
  const faults: [string, number, number | undefined, string][] = [
    ["model.layers.2.mlp.down_proj.weight", NaN, 70, "model.layers.2.mlp.down_proj"],
    ["model.layers.1.self_attn.k_proj.weight", Infinity, 3, "model.layers.1.self_attn.k_proj"],
    ["model.layers.0.input_layernorm.weight", -Infinity, undefined, "model.layers.0.input_layernorm"],
    ["model.norm.weight", NaN, 5, "model.norm"],
  ];
  for (const [how, options, device] of ways) {
    it(`names the first module whose output is not finite, ${how}`, async () => {
      for (const [key, value, at, site] of faults) {
        using model = await loadCausalLM(modelDir("stories260k"), { device });
        await poison(model, key, value, at);
        for (const prompts of [[[1, 403]], [[1, 317, 269], [1]]]) {
          const told: unknown[] = [];
          const before = memory().tensors;
          const error = await failure(
            generate(model, prompts, { ...GREEDY, ...options, onToken: (ids) => told.push(ids) }),
          );
          assertEquals([error.code, error.diagnostic.where?.site], ["KW-GENERATE-NONFINITE", site]);
          assertEquals(told, []);
          assertEquals(memory().tensors, before);
        }
      }
    });
  }

  it("finds where float16 overflows", async () => {
    if (!currentGpu().features.has("shader-f16")) return;
    using model = await loadCausalLM(modelDir("stories260k"), { dtype: "f16" });
    const p = model.stateDict().get("model.layers.3.post_attention_layernorm.weight") as Parameter;
    p.assign(Tensor.from(new Float16Array(p.size).fill(60000), { shape: p.shape }));
    const error = await failure(generate(model, [[1, 403]], GREEDY));
    assertEquals(error.diagnostic.where?.site, "model.layers.3.post_attention_layernorm");
  });

  it("stops at the step at which the numbers cease to be finite, captured too, and not for rows that have ended", async () => {
    using model = await loadCausalLM(modelDir("stories260k"));
    const { ids: [plain] } = await generate(model, [[1]], GREEDY);
    // The embedding of the third id, and not the head that is tied to it: the fourth token sees NaN.
    const { vocab_size, hidden_size } = model.config;
    const own = new Embedding(vocab_size, hidden_size);
    const table = Float32Array.from(
      await (model as DecoderLM).model.embed_tokens.weight.data() as ArrayLike<number>,
    );
    table[plain[2] * hidden_size] = NaN;
    own.weight.assign(Tensor.from(table, { shape: own.weight.shape }));
    (model as DecoderLM).model.embed_tokens = own;
    try {
      for (const capture of [false, true]) {
        const told: (number | undefined)[] = [];
        const run = (options: Partial<GenerateOptions>) =>
          generate(model, [[1]], { ...GREEDY, capture, onToken: ([id]) => told.push(id), ...options });
        const error = await failure(run({}));
        assertEquals(told, plain.slice(0, 3));
        assertEquals(error.diagnostic.where?.site, "model.embed_tokens");
        assertStringIncludes(error.message, "token 4 of row 0");
        assertEquals((await run({ eosTokenIds: [plain[2]] })).ids, [plain.slice(0, 3)]);
        // The other row goes on after the first has ended, and is fed what comes of nonsense.
        const both = (prompts: number[][]) =>
          generate(model, prompts, { ...GREEDY, capture, eosTokenIds: [plain[2]] });
        assertEquals((await both([[1], [1, 317, 269]])).ids, [
          plain.slice(0, 3),
          (await both([[1, 317, 269]])).ids[0],
        ]);
      }
    } finally {
      currentGpu().trim();
    }
  });
});

describe(needsModels("generate() and its options"), () => {
  gpuForFile();

  it("names an option that cannot be used, before anything runs", async () => {
    using model = await loadCausalLM(modelDir("stories260k"));
    const cases: [unknown, string, string][] = [
      [undefined, "KW-GENERATE-OPTION", "without options"],
      [{}, "KW-GENERATE-OPTION", "undefined tokens (maxNewTokens)"],
      [{ maxNewTokens: -1 }, "KW-GENERATE-OPTION", "-1 tokens"],
      [{ maxNewTokens: NaN }, "KW-GENERATE-OPTION", "NaN tokens"],
      [{ maxNewTokens: 1.5 }, "KW-GENERATE-OPTION", "1.5 tokens"],
      [{ maxNewTokens: Infinity }, "KW-GENERATE-OPTION", "Infinity tokens"],
      [{ maxNewTokens: "8" }, "KW-GENERATE-OPTION", '"8" tokens'],
      [{ maxNewTokens: 1, temperature: 0.5 }, "KW-GENERATE-OPTION", "sampling: { temperature }"],
      [{ maxNewTokens: 1, eosTokenId: 2 }, "KW-GENERATE-OPTION", "eosTokenIds"],
      [{ maxNewTokens: 1, eosTokenIds: 2 }, "KW-GENERATE-OPTION", "end at 2"],
      [{ maxNewTokens: 1, eosTokenIds: ["2"] }, "KW-GENERATE-OPTION", 'end at "2"'],
      [{ maxNewTokens: 1, sampling: 0.7 }, "KW-GENERATE-OPTION", "sample by 0.7"],
      [{ maxNewTokens: 1, sampling: { top_k: 3 } }, "KW-SAMPLE-OPTION", "topK"],
      [{ maxNewTokens: 1, sampling: { topK: 0 } }, "KW-SAMPLE-OPTION", "topK 0"],
    ];
    for (const [options, code, words] of cases) {
      const error = await failure(generate(model, [[1]], options as GenerateOptions));
      assertEquals(error.code, code, error.message);
      assertStringIncludes(error.message, words);
    }
    for (const prompts of [undefined, 5, [1, 2], [null], ["1"]]) {
      const error = await failure(generate(model, prompts as unknown as number[][], GREEDY));
      assertEquals(error.code, "KW-GENERATE-PROMPT", String(prompts));
    }
  });

  it("stops within a step when its signal is aborted, and gives its memory back", async () => {
    for (const device of ["webgpu", "reference"] as const) {
      using model = await loadCausalLM(modelDir("stories260k"), { device });
      await generate(model, [[1]], GREEDY);
      for (const capture of [false, true]) {
        const before = memory().tensors;
        const controller = new AbortController();
        const told: unknown[] = [];
        const reason = new Error("enough");
        const error = await failure(generate(model, [[1], [1, 317]], {
          ...GREEDY,
          capture,
          maxNewTokens: 40,
          signal: controller.signal,
          onToken: (ids) => {
            if (told.push(ids) === 3) controller.abort(reason);
          },
        }));
        assertEquals([error.code, error.cause, told.length], ["KW-ABORTED", reason, 3]);
        assertEquals(memory().tensors, before);
      }
      const timed = await failure(
        generate(model, [[1]], { ...GREEDY, maxNewTokens: 500, signal: AbortSignal.timeout(1) }),
      );
      assertEquals(timed.code, "KW-ABORTED");
      const dispatches = currentGpu().stream.dispatches;
      const signal = AbortSignal.abort("no");
      for (const work of [generate(model, [[1]], { ...GREEDY, signal }), model.ready({ signal })]) {
        const error = await failure(work);
        assertEquals([error.code, error.cause], ["KW-ABORTED", "no"]);
      }
      assertEquals(currentGpu().stream.dispatches, dispatches);
    }
  });

  it("does not load, or stops loading, when its signal is aborted", async () => {
    const before = memory().tensors;
    const early = await failure(loadCausalLM("/nowhere", { signal: AbortSignal.abort("no") }));
    assertEquals(early.code, "KW-ABORTED");
    const controller = new AbortController();
    const late = await failure(
      loadCausalLM(modelDir("stories260k"), {
        signal: controller.signal,
        onReport: () => controller.abort(),
        ready: true,
      }),
    );
    assertEquals(late.code, "KW-ABORTED");
    assertEquals(memory().tensors, before);
  });

  it("asks no module that a kernel may stand for what it holds", async () => {
    using model = await loadCausalLM(modelDir("stories260k"));
    const expected = await generate(model, [[1, 403]], GREEDY);
    const kernels = { kernels: [replace("Embedding", TableEmbedding, { at: "model.embed_tokens" })] };
    using loaded = await loadCausalLM(modelDir("stories260k"), { kernels, ready: true });
    await kernelize(model, kernels);
    for (const m of [model, loaded]) {
      assertEquals([m.dtype, m.device], ["f32", "webgpu"]);
      m.makeCache({ maxLength: 4 }).dispose();
      await m.ready({ tokens: [1, 2] });
      for (const capture of [false, true]) {
        assertEquals((await generate(m, [[1, 403]], { ...GREEDY, capture })).ids, expected.ids);
      }
    }
  });
});
