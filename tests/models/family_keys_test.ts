/** Every key of config.json of the families that are more than Llama: other numbers, our error, or known to change nothing. */
import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { type CausalLMConfig, loadCausalLM, parseDecoderConfig } from "../../sdk/models/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { configOf } from "../helpers/models.ts";
import { modelDir, needsModels } from "./checkpoints.ts";
import { largestDifference, logitsOf } from "./logits.ts";

type Json = Record<string, unknown>;

const FACTORS = { short_factor: [1, 1, 1, 2, 2, 2], long_factor: [2, 2, 2, 3, 3, 3] };
const SIZES = {
  hidden_size: 96,
  intermediate_size: 96,
  num_hidden_layers: 1,
  num_attention_heads: 8,
  num_key_value_heads: 8,
  vocab_size: 99,
  rms_norm_eps: 0.1,
  hidden_act: "gelu",
};
const ROTARY = { rope_theta: 50, head_dim: 8 };
const { intermediate_size: _, ...WITHOUT_MLP } = SIZES; // where all layers have experts
const EXPERTS = {
  num_experts: 3,
  num_experts_per_tok: 1,
  moe_intermediate_size: 12,
  decoder_sparse_step: 2,
  num_local_experts: 3,
};

/** What must give other numbers or our error. All else in the folder's config must change nothing. */
const COUNTS: Readonly<Record<string, Json>> = {
  "phi3-partial": {
    ...SIZES,
    ...ROTARY,
    partial_rotary_factor: 1,
    sliding_window: 3,
    rope_scaling: { type: "longrope", short_factor: [1, 2, 3], long_factor: [1, 2, 3] },
    attention_bias: true,
    mlp_bias: true,
    lm_head_bias: true,
    interpolate_factor: 2,
    tie_word_embeddings: false,
  },
  "phi3-longrope": {
    ...SIZES,
    ...ROTARY,
    rope_scaling: { type: "longrope", ...FACTORS },
    original_max_position_embeddings: 3,
    attention_bias: true,
    max_position_embeddings: 960,
    partial_rotary_factor: 0.5,
    sliding_window: 3,
    tie_word_embeddings: true,
  },
  "smollm3": {
    ...SIZES,
    ...ROTARY,
    no_rope_layers: [1, 0, 1, 1],
    tie_word_embeddings: false,
    attention_bias: true,
    mlp_bias: true,
    rope_scaling: { rope_type: "linear", factor: 2 },
    rope_parameters: { rope_theta: 50 },
    layer_types: ["full_attention", "sliding_attention", "full_attention", "full_attention"],
  },
  "qwen3-moe": {
    ...SIZES,
    ...ROTARY,
    ...EXPERTS,
    norm_topk_prob: false,
    mlp_only_layers: [0],
    attention_bias: true,
    tie_word_embeddings: true,
    qkv_bias: true,
    shared_expert_intermediate_size: 8,
  },
  "qwen2-moe": {
    ...WITHOUT_MLP,
    ...ROTARY,
    ...EXPERTS,
    norm_topk_prob: true,
    mlp_only_layers: [0],
    shared_expert_intermediate_size: 12,
    qkv_bias: false,
    attention_bias: true,
    tie_word_embeddings: true,
  },
  "gpt2": {
    activation_function: "gelu",
    layer_norm_epsilon: 0.1,
    n_embd: 96,
    n_head: 8,
    n_inner: 96,
    n_layer: 1,
    n_positions: 24,
    hidden_size: 96,
    num_attention_heads: 8,
    num_hidden_layers: 1,
    max_position_embeddings: 24,
    scale_attn_weights: false,
    scale_attn_by_inverse_layer_idx: true,
    add_cross_attention: true,
    tie_word_embeddings: false,
    vocab_size: 99,
  },
};

/** What is neither, by itself. */
const NEITHER = new Set(["model_type"]);

describe(needsModels("every key of a family's config"), () => {
  gpuForFile();

  for (const [name, counts] of Object.entries(COUNTS)) {
    it(`${name}: other numbers, our error, or known to change nothing`, async () => {
      const folder = modelDir(`${name}-tiny-random`);
      const json = configOf(`${name}-tiny-random`);
      const dir = await Deno.makeTempDir();
      const run = async (change: Json) => {
        await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify({ ...json, ...change }));
        const warnings: string[] = [];
        using model = await loadCausalLM(dir, { onWarning: (w) => warnings.push(w) });
        assertEquals(warnings, [], JSON.stringify(change));
        return await logitsOf(model, [[1, 5, 9, 13, 2]]);
      };
      const seen = async (change: Json) => {
        try {
          return largestDifference(before, await run(change)) > 1e-6 ? "numbers" : "nothing";
        } catch (error) {
          if (error instanceof KernelwrightError) return error.code;
          throw error;
        }
      };
      let before: number[] = [];
      try {
        await Deno.copyFile(`${folder}/model.safetensors`, `${dir}/model.safetensors`);
        before = await run({});
        for (const [key, value] of Object.entries(counts)) {
          assert(await seen({ [key]: value }) !== "nothing", key);
        }
        for (const [key, value] of Object.entries(json)) {
          if (key in counts || NEITHER.has(key)) continue;
          const other = typeof value === "boolean"
            ? !value
            : typeof value === "number"
            ? value * 2
            : typeof value === "string"
            ? "other"
            : Array.isArray(value)
            ? ["Other"]
            : 4;
          assertEquals(await seen({ [key]: other }), "nothing", key);
        }
        // The other spelling of a key.
        const { torch_dtype: dtype, rope_theta, rope_scaling, ...others } = json;
        const rope_parameters = { rope_theta, ...rope_scaling as Json | null };
        if (rope_theta) {
          assertEquals(
            await seen({
              ...others,
              dtype,
              torch_dtype: undefined,
              rope_theta: undefined,
              rope_scaling: null,
              rope_parameters,
            }),
            "nothing",
          );
        }
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }
});

describe("a family's config", () => {
  const SMALL = {
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 4,
    num_attention_heads: 8,
    vocab_size: 128,
  };
  const of = (model_type: string, change: Json = {}) =>
    parseDecoderConfig({ model_type, ...SMALL, ...change }, "config.json");
  const refusal = (model_type: string, change: Json): string => {
    try {
      parseDecoderConfig<CausalLMConfig>({ model_type, ...SMALL, ...change }, "config.json");
    } catch (error) {
      assertEquals((error as KernelwrightError).code, "KW-CONFIG-VALUE", String(error));
      return (error as Error).message;
    }
    throw new Error(`${model_type} took ${JSON.stringify(change)}`);
  };

  it("has the defaults of the published code", () => {
    const [phi3, smollm3, q2, q3] = ["phi3", "smollm3", "qwen2_moe", "qwen3_moe"].map((t) => of(t));
    assertEquals(
      [phi3, smollm3, q2, q3].map((c) => [c.max_position_embeddings, c.rms_norm_eps, c.tie_word_embeddings]),
      [[4096, 1e-5, false], [32768, 1e-6, true], [32768, 1e-6, false], [32768, 1e-6, false]],
    );
    assertEquals([phi3, smollm3, q2, q3].map((c) => c.rope.theta), [1e4, 2e6, 1e4, 1e4]);
    assertEquals(smollm3.turns, [true, true, true, false]);
    assertEquals([q2, q3].map((c) => [c.num_local_experts, c.num_experts_per_tok, c.moe_intermediate_size]), [
      [60, 4, 1408],
      [128, 8, 768],
    ]);
    assertEquals([q2.shared_expert_intermediate_size, q2.norm_topk_prob, q3.norm_topk_prob], [
      5632,
      false,
      false,
    ]);
    const gpt2 = parseDecoderConfig<CausalLMConfig>({
      model_type: "gpt2",
      vocab_size: 9,
      n_embd: 8,
      n_layer: 1,
      n_head: 2,
    });
    const { max_position_embeddings, tie_word_embeddings, head_dim } = gpt2;
    assertEquals([max_position_embeddings, tie_word_embeddings, head_dim], [1024, true, 4]);
  });

  it("tells which layers turn, slide and have experts", () => {
    assertEquals(of("smollm3", { no_rope_layer_interval: 2 }).turns, [true, false, true, false]);
    assertEquals(of("smollm3", { no_rope_layers: [0, 1, 1, 0, 1, 1] }).turns!.slice(0, 4), [
      false,
      true,
      true,
      false,
    ]);
    const windows = (type: string, change: Json) => of(type, change).windows;
    const on = { use_sliding_window: true, sliding_window: 8 };
    const [o, w] = [undefined, 8];
    assertEquals(windows("smollm3", on), [o, o, o, w]);
    assertEquals(windows("smollm3", { ...on, use_sliding_window: false }), undefined);
    assertEquals(windows("qwen3_moe", { ...on, max_window_layers: 2 }), [w, w, w, w]);
    assertEquals(windows("qwen2_moe", { ...on, max_window_layers: 2 }), [w, o, o, o]);
    assertEquals(windows("qwen2_moe", on), [w, o, w, o]);
    assertEquals(windows("phi3", { sliding_window: 8 }), [w, w, w, w]);
    assertEquals(windows("phi3", {}), undefined);
    const sparse = (change: Json) => of("qwen3_moe", change).sparse;
    assertEquals(sparse({}), [true, true, true, true]);
    assertEquals(sparse({ decoder_sparse_step: 2 }), [false, true, false, true]);
    assertEquals(sparse({ decoder_sparse_step: 2, mlp_only_layers: [1] }), [false, false, false, true]);
    assertEquals(sparse({ num_experts: 0 }), [false, false, false, false]);
    assertEquals(of("qwen3_moe", { num_local_experts: 16 }).num_local_experts, 16);
  });

  it("reads Phi-3's LongRoPE by all its names, from 4096 unless it stands beside", () => {
    const lists = { short_factor: [1, 1, 1, 1], long_factor: [2, 2, 2, 2] };
    const scaling = (change: Json) => of("phi3", { max_position_embeddings: 131072, ...change }).rope.scaling;
    const original = (change: Json) => {
      const s = scaling(change);
      assert(s?.rope_type === "longrope");
      return s.original_max_position_embeddings;
    };
    for (const kind of ["longrope", "su", "yarn"]) {
      for (const key of ["type", "rope_type"]) {
        assertEquals(original({ rope_scaling: { [key]: kind, ...lists } }), 4096);
      }
      const parameters = { rope_type: kind, ...lists, original_max_position_embeddings: 77 };
      assertEquals(original({ rope_parameters: parameters }), 4096);
      assertEquals(original({ rope_parameters: parameters, original_max_position_embeddings: 99 }), 99);
    }
    const c = of("phi3", { rope_scaling: { type: "su", ...lists }, original_max_position_embeddings: 24 });
    assertEquals(c.restart_after, 24);
    assertEquals(of("phi3", { partial_rotary_factor: 0.75 }).rope.dim, 6);
    assertEquals(of("phi3", { rope_parameters: { partial_rotary_factor: 0.5 } }).rope.dim, 4);
  });

  it("refuses what does not fit", () => {
    const cases: [string, Json, string][] = [
      ["phi3", { rope_scaling: { type: "linear", factor: 2 } }, "rope_scaling"],
      ["phi3", { rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } }, "short_factor"],
      ["phi3", { partial_rotary_factor: 1.5 }, "partial_rotary_factor"],
      ["smollm3", { no_rope_layers: [1, 1] }, "no_rope_layers"],
      ["smollm3", { no_rope_layers: [1, 1, 2, 1] }, "no_rope_layers"],
      ["smollm3", { no_rope_layer_interval: 0 }, "no_rope_layer_interval"],
      ["smollm3", { partial_rotary_factor: 0.5 }, "partial_rotary_factor"],
      ["qwen3_moe", { num_experts: 4, num_experts_per_tok: 5 }, "num_experts_per_tok"],
      ["qwen3_moe", { num_experts: 4, num_local_experts: 5, num_experts_per_tok: 2 }, "num_experts"],
      ["qwen3_moe", { num_experts: 10_000, num_hidden_layers: 1000 }, "num_hidden_layers"],
      ["qwen3_moe", { decoder_sparse_step: 0 }, "decoder_sparse_step"],
      ["qwen2_moe", { n_shared_experts: 2 }, "n_shared_experts"],
      ["gpt2", { n_embd: 63, n_layer: 1, n_head: 8 }, "hidden_size"],
      [
        "gpt2",
        { n_embd: 64, n_layer: 1, n_head: 7, num_hidden_layers: 1, num_attention_heads: 7 },
        "n_head",
      ],
      ["gpt2", { n_embd: 64, n_layer: 4, n_head: 8, activation_function: "odd" }, "activation_function"],
      ["gpt2", { quantization_config: { quant_method: "gptq" } }, "quantization_config"],
    ];
    for (const [type, change, named] of cases) {
      const message = refusal(type, change);
      assert(message.includes(named), `${type} ${JSON.stringify(change)}: ${message}`);
    }
  });
});
