import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { loadCausalLM, parseDecoderConfig } from "../../sdk/models/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { expectedJson, expectedTensor, modelDir, needsModels } from "./checkpoints.ts";
import { largestDifference, logitsOf } from "./logits.ts";

const SMALL = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 8,
  vocab_size: 128,
  max_position_embeddings: 512,
};
const FAMILIES = ["llama", "mistral", "qwen2", "qwen3", "mixtral", "olmo2", "granite"];
/** What only this family takes. */
const OWN: Readonly<Record<string, readonly string[]>> = { granite: ["embedding_multiplier"] };

function config(type: string, change: Record<string, unknown> = {}) {
  const experts = type === "mixtral" ? { num_local_experts: 4, num_experts_per_tok: 2 } : {};
  return parseDecoderConfig({ model_type: type, ...SMALL, ...experts, ...change }, "config.json");
}

function refusal(type: string, change: Record<string, unknown>): string {
  try {
    config(type, change);
  } catch (error) {
    assertEquals((error as { code?: string }).code, "KW-CONFIG-VALUE", String(error));
    return (error as Error).message;
  }
  throw new Error(`${type} took ${JSON.stringify(change)}`);
}

describe("the keys of config.json", () => {
  for (const type of FAMILIES) {
    it(`${type} refuses by name what would change results`, () => {
      for (
        const [key, value] of Object.entries({
          partial_rotary_factor: 0.5,
          rotary_dim: 4,
          rope_interleaved: true,
          final_logit_softcapping: 30,
          embedding_multiplier: 12,
          norm_topk_prob: false,
          clip_qkv: 8,
          is_encoder_decoder: true,
          layer_types: ["chunked_attention", "full_attention"],
        })
      ) {
        if (!OWN[type]?.includes(key)) {
          assert(refusal(type, { [key]: value }).includes(`${key}: `), key);
        }
      }
      for (const key of ["quantization_config", "quantization"]) {
        const message = refusal(type, { [key]: { quant_method: "gptq", bits: 4 } });
        assert(message.includes(key) && message.includes("gptq"), message);
      }
    });

    it(`${type} takes null for every optional key, and neutral values`, () => {
      const keys = [
        ..."num_key_value_heads head_dim max_position_embeddings rms_norm_eps rope_theta rope_scaling".split(
          " ",
        ),
        ..."rope_parameters hidden_act attention_bias mlp_bias tie_word_embeddings sliding_window".split(" "),
        ..."use_sliding_window max_window_layers layer_types eos_token_id bos_token_id".split(" "),
        ..."partial_rotary_factor quantization_config final_logit_softcapping never_heard_of".split(" "),
      ];
      const nulls = config(type, Object.fromEntries(keys.map((k) => [k, null])));
      const { source: _a, ...without } = nulls;
      const { source: _b, ...plain } = config(type, { max_position_embeddings: undefined });
      assertEquals(without, plain);
      config(type, { partial_rotary_factor: 1, rope_interleaved: false, pruned_heads: {} });
    });

    it(`${type} names a key that it has never heard of, once, and no key of bookkeeping`, () => {
      const c = config(type, { attn_warp: 3, torch_dtype: "bfloat16", dtype: "bfloat16", top_p: 0.9 });
      assertEquals(c.unknown_keys, ["attn_warp"]);
    });

    it(`${type} refuses sizes before it builds anything`, () => {
      const message = refusal(type, {
        num_hidden_layers: 10_000,
        ...type === "mixtral" ? { num_local_experts: 10_000 } : { num_hidden_layers: 10_001 },
      });
      assert(message.includes("num_hidden_layers"), message);
    });

    it(`${type} refuses rotary settings of other kinds`, () => {
      for (
        const change of [
          { rope_scaling: { factor: 2 } },
          { rope_scaling: { rope_type: "longrope", factor: 2 } },
          { rope_scaling: { type: "su" } },
          {
            rope_parameters: { full_attention: { rope_theta: 1e4 }, sliding_attention: { rope_theta: 1e3 } },
          },
          { rope_parameters: { rope_type: "default", partial_rotary_factor: 0.5 } },
          { rope_scaling: { type: "default", mrope_section: [16, 24, 24] } },
          { rope_scaling: { type: "linear" } },
          { rope_scaling: "linear" },
          { rope_theta: -1 },
        ]
      ) assert(refusal(type, change).includes("rope"), JSON.stringify(change));
    });

    it(`${type} reads rotary settings as they are meant`, () => {
      const rope = (change: Record<string, unknown>) => config(type, change).rope;
      const base = type === "mixtral" ? 1e6 : 1e4;
      assertEquals([rope({}).scaling, rope({}).theta], [undefined, base]);
      assertEquals([rope({ rope_scaling: {} }).scaling, rope({ rope_scaling: {} }).theta], [undefined, base]);
      assertEquals(rope({ rope_theta: 5, rope_parameters: { rope_theta: 7 } }).theta, 7);
      const both = {
        rope_scaling: { type: "default", rope_type: "linear", factor: 2 },
        rope_parameters: { rope_type: "default", rope_theta: 9 },
        rope_theta: 8,
      };
      const { scaling, theta } = rope(both);
      assertEquals([scaling, theta], [{ rope_type: "linear", factor: 2 }, 8]);
    });
  }

  it("tells which layers slide", () => {
    const windows = (type: string, change: Record<string, unknown>) => config(type, change).windows;
    for (
      const [type, change, expected] of [
        ["mistral", { sliding_window: null, max_position_embeddings: 32768 }, undefined],
        ["mistral", { max_position_embeddings: 32768 }, [4096, 4096]],
        ["mistral", { sliding_window: 8 }, [8, 8]],
        ["mistral", { sliding_window: 8, layer_types: ["full_attention", "sliding_attention"] }, [
          undefined,
          8,
        ]],
        ["mixtral", { sliding_window: 512 }, undefined],
        ["mixtral", { sliding_window: 8 }, [8, 8]],
        ["qwen2", { sliding_window: 8, use_sliding_window: false, max_window_layers: 0 }, undefined],
        ["qwen3", { sliding_window: 8 }, undefined],
        ["qwen2", { sliding_window: 8, use_sliding_window: true, max_window_layers: 2 }, undefined],
        ["qwen2", { sliding_window: 8, use_sliding_window: true, max_window_layers: 1 }, [undefined, 8]],
        ["qwen2", {
          sliding_window: 8,
          use_sliding_window: true,
          max_window_layers: 0,
          layer_types: ["full_attention", "full_attention"],
        }, undefined],
        ["qwen3", { use_sliding_window: true, max_window_layers: 0, max_position_embeddings: 8192 }, [
          4096,
          4096,
        ]],
      ] as const
    ) assertEquals(windows(type, change), expected as unknown as typeof expected & undefined, type);
    assert(refusal("llama", { sliding_window: 8 }).includes("sliding_window"));
    assert(
      refusal("qwen3", { layer_types: ["full_attention", "chunked_attention"] }).includes("layer_types"),
    );
  });

  it("takes ids of -1 and lists", () => {
    const c = config("llama", { bos_token_id: -1, eos_token_id: [2, -1, 3] });
    assertEquals([c.bos_token_id, c.eos_token_ids], [undefined, [2, 3]]);
    assertEquals(config("llama", { bos_token_id: [5, 6] }).bos_token_id, 5);
  });

  it("refuses 1,000 layers of 10,000 experts, saying how many modules that is", () => {
    const message = refusal("mixtral", { num_hidden_layers: 1000, num_local_experts: 10_000 });
    assert(message.includes("modules; at most"), message);
  });
});

describe(needsModels("every key of a published config"), () => {
  gpuForFile();

  /** Where a change must give other numbers, or another tree. */
  const COUNTS = new Set([
    ..."rms_norm_eps rope_theta rope_scaling hidden_act num_experts_per_tok attention_bias mlp_bias".split(
      " ",
    ),
    ..."hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim"
      .split(" "),
    ..."vocab_size tie_word_embeddings num_local_experts sliding_window_pattern rope_local_base_freq".split(
      " ",
    ),
    ..."embedding_multiplier attention_multiplier residual_multiplier logits_scaling".split(" "),
    ..."query_pre_attn_scalar hidden_activation attn_logit_softcapping final_logit_softcapping".split(" "),
  ]);
  /** What another family reads. */
  const NOT: Readonly<Record<string, readonly string[]>> = { "gemma2-tiny-random": ["hidden_act"] };
  const OTHER: Record<string, unknown> = {
    rope_scaling: { rope_type: "linear", factor: 2 },
    hidden_act: "gelu",
    hidden_activation: "silu",
    rms_norm_eps: 0.1,
    rope_theta: 50,
    num_experts_per_tok: 1,
    sliding_window: 4,
    model_type: "gemma",
  };
  const other = (key: string, value: unknown) =>
    key in OTHER
      ? OTHER[key]
      : typeof value === "boolean"
      ? !value
      : typeof value === "number"
      ? value * 2
      : typeof value === "string"
      ? "other"
      : [1];

  const tiny = "qwen3 mixtral olmo2 granite gemma2 gemma3".split(" ").map((n) => `${n}-tiny-random`);
  for (const name of ["stories260k", ...tiny]) {
    it(`${name}: other numbers, our error, or known to change nothing`, async () => {
      const json = JSON.parse(await Deno.readTextFile(`${modelDir(name)}/config.json`));
      const dir = await Deno.makeTempDir();
      const run = async (change: Record<string, unknown>) => {
        await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify({ ...json, ...change }));
        const warnings: string[] = [];
        using model = await loadCausalLM(dir, { onWarning: (w) => warnings.push(w) });
        assertEquals(warnings, []);
        return await logitsOf(model, [[1, 5, 9, 13, 2]]);
      };
      try {
        await Deno.copyFile(`${modelDir(name)}/model.safetensors`, `${dir}/model.safetensors`);
        const before = await run({});
        for (const [key, value] of Object.entries(json)) {
          const seen = await run({ [key]: other(key, value) }).then(
            (after) => largestDifference(before, after) > 1e-6 ? "numbers" : "nothing",
            (error) => String(error.code),
          );
          if (COUNTS.has(key) && !NOT[name]?.includes(key)) {
            assert(seen === "numbers" || seen.startsWith("KW-"), `${key}: ${seen}`);
          } else if (key !== "model_type" && key !== "sliding_window") assertEquals(seen, "nothing", key);
        }
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    });
  }

  for (const kind of ["llama3", "linear", "yarn", "params"]) {
    it(`llama-rope-${kind} gives its expected logits`, async () => {
      const name = `llama-rope-${kind}-tiny-random`;
      using model = await loadCausalLM(modelDir(name));
      const ids = await expectedJson<number[]>(name, "input_ids");
      const off = largestDifference(
        await logitsOf(model, [ids]),
        await expectedTensor(name, "logits", "logits"),
      );
      assert(off < 1e-4, `off by ${off}`);
    });
  }
});
