/** What is particular to how the families that are more than Llama run: padding, restarts, ends, kernels that must not fit. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { memory } from "../../sdk/gpu/mod.ts";
import { parseKernelConfig, planKernelize } from "../../sdk/kernelize/mod.ts";
import { buildCausalLM, generate, loadCausalLM, readConfig, savePretrained } from "../../sdk/models/mod.ts";
import { tokenPlaces } from "../../sdk/ops/mod.ts";
import { scope, type Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { valuesOn } from "../helpers/parity.ts";
import { expectedJson, modelDir, needsModels } from "./checkpoints.ts";
import { largestDifference, logitsOf } from "./logits.ts";

const NAMES = ["phi3-partial", "phi3-longrope", "smollm3", "qwen3-moe", "qwen2-moe", "gpt2"];
const dirOf = (name: string) => modelDir(`${name}-tiny-random`);
const EXAMPLES = new URL("../../examples/", import.meta.url);

describe("tokenPlaces()", () => {
  gpuForFile();

  for (const device of ["webgpu", "reference"] as const) {
    it(`counts from where a row begins, never below 0, on ${device}`, async () => {
      const position = { shape: [1], data: [3], dtype: "i32" as const };
      const starts = { shape: [2], data: [0, 5], dtype: "i32" as const };
      const padded = await valuesOn(device, (p, s) => tokenPlaces(p, s, 2, 4), [position, starts]);
      assertEquals([...padded.data], [3, 4, 5, 6, 0, 0, 0, 1]);
      const plain = await valuesOn(device, (p) => tokenPlaces(p, undefined, 1, 70), [position]);
      assertEquals([...plain.data], Array.from({ length: 70 }, (_, i) => i + 3));
    });
  }
});

describe(needsModels("families that are more than Llama"), () => {
  gpuForFile();

  for (const name of NAMES) {
    it(`${name} gives padded rows their own logits, with a cache and without`, async () => {
      const before = memory().tensors;
      {
        using model = await loadCausalLM(dirOf(name));
        const rows = [[1, 7, 3, 9, 4], [0, 0, 1, 8, 2]];
        const width = model.config.vocab_size;
        const last = (logits: number[], row: number, tokens: number) =>
          logits.slice(((row + 1) * tokens - 1) * width, (row + 1) * tokens * width);
        const alone = await logitsOf(model, [[1, 8, 2, 6]]);
        using cache = model.makeCache({ batch: 2, maxLength: 6 });
        await logitsOf(model, rows, { starts: [0, 2], cache });
        const step = await logitsOf(model, [[5], [6]], { starts: [0, 2], cache });
        assert(largestDifference(last(step, 1, 1), last(alone, 0, 4)) < 1e-4);
        const whole = await logitsOf(model, rows.map((r, i) => [...r, 5 + i]), { starts: [0, 2] });
        assert(largestDifference(last(whole, 1, 6), last(alone, 0, 4)) < 1e-4);
      }
      assertEquals(memory().tensors, before);
    });

    it(`${name} comes ready, and saves the bytes that it was loaded from`, async () => {
      using model = await loadCausalLM(dirOf(name), { ready: true });
      for (const example of model.exampleInputs()) {
        scope(() => {
          const [ids, inputs] = example as [Tensor, { cache?: unknown } | undefined];
          assertEquals([ids.device, ids.dtype, typeof inputs], [
            "meta",
            "i32",
            inputs ? "object" : "undefined",
          ]);
        });
      }
      const made = await generate(model, [[1, 5, 9]], { maxNewTokens: 3, eosTokenIds: [] });
      assertEquals(made.ids[0].length, 3);
      const dir = await Deno.makeTempDir();
      try {
        await savePretrained(model, dir);
        const file = (folder: string) => Deno.readFile(`${folder}/model.safetensors`);
        assertEquals(await file(dir), await file(dirOf(name)));
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }

  it("Phi-3's LongRoPE starts a batch again where its longest row passes the length, and gives each row its own", async () => {
    const ids = await expectedJson<number[]>("phi3-longrope-tiny-random", "short_input_ids");
    const { new_ids, safe_count } = await expectedJson<{ new_ids: number[]; safe_count: number }>(
      "phi3-longrope-tiny-random",
      "short_greedy",
    );
    const before = memory().tensors;
    {
      using model = await loadCausalLM(dirOf("phi3-longrope"));
      assert(model.config.restart_after! < ids.length + safe_count);
      for (const capture of [false, true]) {
        const made = await generate(model, [ids, ids], {
          maxNewTokens: safe_count,
          eosTokenIds: [],
          capture,
        });
        assertEquals(made.ids, [new_ids.slice(0, safe_count), new_ids.slice(0, safe_count)]);
        const padded = await generate(model, [ids, ids.slice(3)], {
          maxNewTokens: safe_count,
          eosTokenIds: [],
          capture,
        });
        assertEquals(padded.ids[0], new_ids.slice(0, safe_count));
      }
    }
    assertEquals(memory().tensors, before);
  });

  it("GPT-2 says that its positions have an end", async () => {
    using model = await loadCausalLM(dirOf("gpt2"));
    const { max_position_embeddings: most } = model.config;
    await assertRejects(
      () => logitsOf(model, [new Array<number>(most + 1).fill(1)]),
      Error,
      `it has learned ${most} positions`,
    );
    using cache = model.makeCache({ maxLength: most + 4 });
    await logitsOf(model, [new Array<number>(most).fill(1)], { cache });
    await assertRejects(() => logitsOf(model, [[1]], { cache }), Error, "positions");
    await assertRejects(
      () => generate(model, [[1, 2]], { maxNewTokens: most }),
      Error,
      "KW-GENERATE-PROMPT",
    );
  });

  /** How many modules of a name a kernel takes the place of, by model: classes of their own are left alone. */
  const FITS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
    "qkv-attention:QKVAttention LlamaAttention": { "smollm3": 3, "qwen3-moe": 3, "qwen2-moe": 2 },
    "decoder-layer:DecoderLayer LlamaDecoderLayer": { "smollm3": 3, "qwen3-moe": 1 },
    "stacked-experts:StackedExperts MixtralSparseMoeBlock": {},
    "custom-rmsnorm:CustomRMSNorm RMSNorm": {
      "phi3-partial": 7,
      "phi3-longrope": 7,
      "smollm3": 9,
      "qwen3-moe": 13,
      "qwen2-moe": 5,
    },
    "swiglu:SwiGLU SiluAndMul": {
      "phi3-partial": 3,
      "phi3-longrope": 3,
      "smollm3": 4,
      "qwen3-moe": 13,
      "qwen2-moe": 12,
    },
  };

  for (const [kernel, counts] of Object.entries(FITS)) {
    it(`${kernel} fits modules of that name alone, and keeps the logits`, async () => {
      const [ref, replace] = kernel.split(" ");
      for (const name of NAMES) {
        const config = { kernels: [{ replace, with: `${decodeURIComponent(EXAMPLES.pathname)}${ref}` }] };
        const tree = buildCausalLM(await readConfig(dirOf(name)));
        const planned = () => planKernelize(tree, parseKernelConfig(config));
        if (!counts[name]) {
          await assertRejects(planned, Error, "KW-MATCH-NAME");
          continue;
        }
        assertEquals((await planned()).report.swapped.length, counts[name], name);
        using plain = await loadCausalLM(dirOf(name));
        using swapped = await loadCausalLM(dirOf(name), { kernels: config });
        const ids = [[3, 7, 1, 9, 12, 5]];
        const off = largestDifference(await logitsOf(plain, ids), await logitsOf(swapped, ids));
        assert(off < 1e-4, `${name}: off by ${off}`);
      }
    });
  }
});
