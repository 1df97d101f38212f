/** What Gemma 2 and 3 have that no other decoder has: in the config, in the modules' classes, and in f16. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import { parseKernelConfig, planKernelize } from "../../sdk/kernelize/mod.ts";
import {
  buildCausalLM,
  type CausalLM,
  type DecoderLM,
  generate,
  loadCausalLM,
  parseDecoderConfig,
} from "../../sdk/models/mod.ts";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";
import { GemmaRMSNorm } from "../../sdk/nn/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { expectedJson, expectedTensor, modelDir, needsModels } from "./checkpoints.ts";
import { largestDifference, logitsOf } from "./logits.ts";

const SMALL = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  vocab_size: 128,
  max_position_embeddings: 512,
};

type Change = Readonly<Record<string, unknown>>;

// deno-lint-ignore no-explicit-any -- the families' own fields
function config(type: string, change: Change = {}): any {
  return parseDecoderConfig({ model_type: type, ...SMALL, ...change }, "config.json");
}

function refusal(type: string, change: Change): string {
  try {
    config(type, change);
  } catch (error) {
    assertEquals((error as { code?: string }).code, "KW-CONFIG-VALUE", String(error));
    return (error as Error).message;
  }
  throw new Error(`${type} took ${JSON.stringify(change)}`);
}

describe("the config of Gemma", () => {
  for (const type of ["gemma2", "gemma3_text"]) {
    it(`${type} has the published values where the file has none`, () => {
      const c = config(type, { max_position_embeddings: undefined });
      assertEquals(
        [c.head_dim, c.num_key_value_heads, c.query_pre_attn_scalar, c.tie_word_embeddings, c.hidden_act],
        [256, 4, 256, true, "gelu_pytorch_tanh"],
      );
      assertEquals(c.max_position_embeddings, type === "gemma2" ? 8192 : 131_072);
      assertEquals(c.windows.filter((w: number | undefined) => w === 4096).length, type === "gemma2" ? 3 : 5);
    });

    it(`${type} goes by hidden_activation, and not by hidden_act`, () => {
      const c = config(type, { hidden_act: "silu", hidden_activation: "gelu" });
      assertEquals([c.hidden_act, c.unknown_keys], ["gelu", []]);
      assert(refusal(type, { hidden_activation: 3 }).includes("hidden_activation"));
    });

    it(`${type} refuses by name what it does not read, and names what it does not know`, () => {
      const changes = {
        mlp_bias: true,
        embedding_multiplier: 2,
        use_bidirectional_attention: true,
        qk_norm: true,
      };
      for (const [key, value] of Object.entries(changes)) {
        assert(refusal(type, { [key]: value }).includes(`${key}: `), key);
      }
      for (const key of ["query_pre_attn_scalar", "final_logit_softcapping", "sliding_window"]) {
        assert(refusal(type, { [key]: -1 }).includes(key), key);
      }
      const c = config(type, { attn_warp: 3, cache_implementation: "hybrid", dtype: "bfloat16" });
      assertEquals(c.unknown_keys, ["attn_warp"]);
    });

    it(`${type} gives every norm the epsilon of the file`, () => {
      const tree = buildCausalLM(config(type, { rms_norm_eps: 0.25 }));
      const norms = [...tree.namedModules()].map(([, m]) => m).filter((m) => m instanceof GemmaRMSNorm);
      assertEquals(norms.map((n) => n.eps), Array(type === "gemma2" ? 25 : 37).fill(0.25));
    });

    it(`${type} takes several ids that end a text`, () => {
      assertEquals(config(type, { eos_token_id: [1, 106] }).eos_token_ids, [1, 106]);
    });
  }

  it("tells a cap that is null from one that the file does not have", () => {
    const caps = (type: string, change: Change = {}) => {
      const c = config(type, change);
      return [c.attn_logit_softcapping, c.final_logit_softcapping];
    };
    const none = { attn_logit_softcapping: null, final_logit_softcapping: null };
    assertEquals(caps("gemma2"), [50, 30]);
    assertEquals(caps("gemma2", none), [undefined, undefined]);
    assertEquals(caps("gemma2", { attn_logit_softcapping: 3 }), [3, 30]);
    assertEquals(caps("gemma3_text"), [undefined, undefined]);
    assertEquals(caps("gemma3_text", { ...none, final_logit_softcapping: 9 }), [undefined, 9]);
    // The published code reads the key and leaves scores as they are.
    assert(refusal("gemma3_text", { attn_logit_softcapping: 50 }).includes("attn_logit_softcapping"));
  });

  it("tells which layers slide, and which base they have", () => {
    const slide = "sliding_attention", full = "full_attention";
    const layers = (type: string, change: Change) => {
      const { windows = [], ropes, rope } = config(type, { sliding_window: 8, ...change });
      return Array.from({ length: 6 }, (_, i) => [windows[i], (ropes?.[i] ?? rope).theta]);
    };
    const two = [[8, 1e4], [undefined, 1e4]];
    assertEquals(layers("gemma2", {}), [...two, ...two, ...two]);
    assertEquals(layers("gemma2", { layer_types: [full, full, full, full, full, slide] }).slice(4), [
      [undefined, 1e4],
      [8, 1e4],
    ]);
    const [local, global] = [[8, 1e4], [undefined, 1e6]];
    assertEquals(layers("gemma3_text", {}), [local, local, local, local, local, global]);
    assertEquals(layers("gemma3_text", { sliding_window_pattern: 2 }), [
      local,
      global,
      local,
      global,
      local,
      global,
    ]);
    assertEquals(
      layers("gemma3_text", {
        layer_types: [full, slide, full, slide, full, slide],
        sliding_window_pattern: 3,
        _sliding_window_pattern: 6,
        rope_theta: 5,
        rope_local_base_freq: 7,
      }).slice(0, 2),
      [[undefined, 5], [8, 7]],
    );
    // A window that is as long as any text is none; the base is still the windowed layers'.
    for (const sliding_window of [512, null]) {
      assertEquals(layers("gemma3_text", { sliding_window }).slice(4), [[undefined, 1e4], [undefined, 1e6]]);
    }
  });

  it("reads Gemma 3's rotary settings in both spellings, and refuses others by name", () => {
    const ropes = (change: Change) => {
      const { ropes } = config("gemma3_text", change);
      return [ropes[5], ropes[0]].map(({ theta, scaling }) => [theta, scaling?.rope_type, scaling?.factor]);
    };
    const none = [undefined, undefined];
    assertEquals(ropes({ rope_scaling: { type: "linear", factor: 8 } }), [[1e6, "linear", 8], [
      1e4,
      ...none,
    ]]);
    const by = {
      full_attention: { rope_type: "linear", factor: 4, rope_theta: 11 },
      sliding_attention: { rope_type: "default", rope_theta: 13 },
    };
    assertEquals(ropes({ rope_parameters: by }), [[11, "linear", 4], [13, ...none]]);
    assertEquals(ropes({ rope_parameters: by, rope_theta: 5, rope_local_base_freq: 7 }), [
      [11, "linear", 4],
      [13, ...none],
    ]);
    assertEquals(ropes({ rope_parameters: { sliding_attention: by.full_attention } }), [[1e6, ...none], [
      11,
      "linear",
      4,
    ]]);
    assertEquals(ropes({ rope_parameters: by, rope_scaling: { rope_type: "linear", factor: 2 } })[0], [
      11,
      "linear",
      2,
    ]);
    for (
      const [change, named] of [
        [{ rope_parameters: { rope_type: "linear", factor: 8 } }, "rope_parameters: rope_type"],
        [{ rope_parameters: { full_attention: 3 } }, "rope_parameters.full_attention"],
        [{ rope_parameters: [1] }, "rope_parameters"],
        [{ rope_parameters: { sliding_attention: { rope_type: "linear" } } }, "sliding_attention.factor"],
        [{ rope_parameters: { full_attention: { factor: 2 } } }, "rope_parameters.full_attention"],
        [{ rope_local_base_freq: -1 }, "rope_local_base_freq"],
        [{ rope_scaling: [1] }, "rope_scaling"],
        [{ rope_scaling: { factor: 2 } }, "rope_scaling"],
      ] as const
    ) {
      assert(
        refusal("gemma3_text", change).includes(`${named}`),
        `${named}: ${refusal("gemma3_text", change)}`,
      );
    }
    const odd = { rope_parameters: { sliding_attention: { rope_type: "default", warp: 1 } } };
    assertEquals(config("gemma3_text", odd).unknown_keys, ["rope_parameters.sliding_attention.warp"]);
  });
});

describe("kernels for Llama's classes", () => {
  const examples = new URL("../../examples/", import.meta.url).href;
  const NORM = `${examples}custom-rmsnorm/mod.ts:CustomRMSNorm`;
  const ATTENTION = `${examples}qkv-attention/mod.ts:QKVAttention`;
  const NORM_MLP = `${examples}rmsnorm-mlp/mod.ts:RMSNormMLP`;
  const LAYERS = "model.layers.*";
  const refused = (type: string, entry: Record<string, unknown>) =>
    assertRejects(
      () => planKernelize(buildCausalLM(config(type)), parseKernelConfig({ kernels: [entry] })),
      KernelwrightError,
    );

  for (const [type, attention] of [["gemma2", "Gemma2"], ["gemma3_text", "Gemma3"]]) {
    it(`are refused at ${type}'s, with the reason`, async () => {
      const norm = await refused(type, { replace: "GemmaRMSNorm", with: NORM });
      assertEquals(norm.code, "KW-SIGNATURE-CLASS");
      assert(/written for RMSNorm, and ".*norm" is GemmaRMSNorm/.test(norm.message), norm.message);
      const fused = await refused(type, {
        fuse: [["GemmaRMSNorm", `${LAYERS}.pre_feedforward_layernorm`], ["LlamaMLP", `${LAYERS}.mlp`]],
        with: NORM_MLP,
      });
      assertEquals(fused.code, "KW-SIGNATURE-CLASS");
      const scores = await refused(type, { replace: `${attention}Attention`, with: ATTENTION });
      assert(scores.message.includes(`${attention}Attention, no LlamaAttention`), scores.message);
      for (const replace of ["RMSNorm", "LlamaAttention", "SlidingWindowAttention", "LlamaDecoderLayer"]) {
        const missed = await refused(type, { replace, with: NORM });
        assertEquals(missed.code, "KW-MATCH-NAME", missed.message);
      }
    });
  }

  for (const [type, name] of [["olmo2", "Olmo2"], ["granite", "Granite"]]) {
    it(`are refused at ${type}'s attention, with the reason`, async () => {
      const scores = await refused(type, { replace: `${name}Attention`, with: ATTENTION });
      assertEquals(scores.code, "KW-SIGNATURE-CLASS");
      assert(scores.message.includes(`${name}Attention, no LlamaAttention`), scores.message);
    });
  }
});

describe(needsModels("the Gemma checkpoints"), () => {
  gpuForFile();

  /** A model of the folder's weights with another config. */
  async function changed(
    name: string,
    change: (json: Record<string, unknown>) => unknown,
  ): Promise<CausalLM> {
    const dir = await Deno.makeTempDir();
    try {
      const json = JSON.parse(await Deno.readTextFile(`${modelDir(name)}/config.json`));
      await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify(change(json)));
      await Deno.copyFile(`${modelDir(name)}/model.safetensors`, `${dir}/model.safetensors`);
      return await loadCausalLM(dir);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  }

  it("gemma3 gives its logits with the newer spelling", async () => {
    const name = "gemma3-tiny-random";
    const before = memory().tensors;
    {
      using model = await changed(name, (json) => {
        const {
          rope_theta,
          rope_local_base_freq,
          rope_scaling,
          sliding_window_pattern,
          torch_dtype,
          ...rest
        } = json;
        return {
          ...rest,
          dtype: torch_dtype,
          _sliding_window_pattern: sliding_window_pattern,
          layer_types: [0, 1, 2, 3, 4, 5].map((i) => i % 3 === 2 ? "full_attention" : "sliding_attention"),
          rope_parameters: {
            full_attention: { ...rope_scaling as object, rope_theta },
            sliding_attention: { rope_type: "default", rope_theta: rope_local_base_freq },
          },
        };
      });
      const ids = await expectedJson<number[]>(name, "input_ids");
      const off = largestDifference(
        await logitsOf(model, [ids]),
        await expectedTensor(name, "logits", "logits"),
      );
      assert(off < 1e-4, `off by ${off}`);
    }
    assertEquals(memory().tensors, before);
  });

  it("gemma3 stops at any of its end ids", async () => {
    const name = "gemma3-tiny-random";
    const ids = await expectedJson<number[]>(name, "input_ids");
    const { new_ids } = await expectedJson<{ new_ids: number[] }>(name, "greedy");
    const end = new_ids[3];
    using model = await changed(name, (json) => ({ ...json, eos_token_id: [149, end] }));
    const made = await generate(model, [ids], { maxNewTokens: 8 });
    assertEquals(made.ids[0].slice(0, 8), new_ids.slice(0, new_ids.indexOf(end) + 1));
  });

  it("windowed layers keep no more than their window", async () => {
    for (const [name, rings] of [["gemma2", [8, 0, 8, 0]], ["gemma3", [6, 6, 0, 6, 6, 0]]] as const) {
      using model = await loadCausalLM(modelDir(`${name}-tiny-random`));
      using cache = model.makeCache({ maxLength: 64 });
      assertEquals(cache.rings.map((r) => r ?? 0), [...rings]);
    }
  });

  for (const name of ["gemma2-tiny-random", "gemma3-tiny-random"]) {
    it(`${name} multiplies embeddings with the root of the width, in their dtype`, async () => {
      for (const dtype of ["f16", "f32"] as const) {
        using model = await loadCausalLM(modelDir(name), { device: "reference", dtype }) as
          & DecoderLM
          & Disposable;
        const decoder = model.model as unknown as { embed(ids: Tensor): Tensor };
        const read = async (run: (ids: Tensor) => Tensor) => {
          using out = keep(
            scope(() => run(Tensor.from(Int32Array.of(5, 9), { shape: [1, 2], device: "reference" }))),
          );
          return Array.from(await out.data() as unknown as ArrayLike<number>);
        };
        const plain = await read((ids) => model.model.embed_tokens.call(ids));
        const exact = Math.sqrt(model.config.hidden_size);
        const root = dtype === "f16" ? Math.f16round(exact) : exact;
        const scaled = await read((ids) => decoder.embed(ids));
        const off = largestDifference(scaled, plain.map((x) => x * root));
        assert(off < 1e-6, `${dtype}: off by ${off}`); // with the other root it is 1e-4
      }
    });
  }
});
