import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { buildCausalLM, type DecoderLM, loadCausalLM, parseDecoderConfig } from "../../sdk/models/mod.ts";
import { WeightRenaming } from "@kernelwright/sdk/checkpoint";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { modelDir, needsModels } from "./checkpoints.ts";

const GOOD = {
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 172,
  num_hidden_layers: 2,
  num_attention_heads: 8,
  vocab_size: 512,
};

function messageFor(change: Record<string, unknown>): string {
  const error = assertThrows(() =>
    buildCausalLM(parseDecoderConfig({ ...GOOD, ...change }, "config.json"))
  ) as Error & { code?: string };
  assert(error.code === "KW-CONFIG-VALUE" || error.code === "KW-TENSOR-SHAPE", String(error));
  return error.message;
}

describe("parseDecoderConfig()", () => {
  it("completes what a config leaves out", () => {
    const c = parseDecoderConfig(GOOD);
    assertEquals([c.head_dim, c.num_key_value_heads, c.rope.theta, c.hidden_act, c.eos_token_ids], [
      8,
      8,
      10000,
      "silu",
      [],
    ]);
    assertEquals(
      parseDecoderConfig({
        ...GOOD,
        eos_token_id: [2, 3],
        rope_parameters: { rope_theta: 5e5, rope_type: "default" },
      }).rope.theta,
      5e5,
    );
  });

  it("names the field, its value and what was expected", () => {
    for (
      const [change, words] of [
        [{ hidden_size: "64" }, ["hidden_size", "expected number"]],
        [{ hidden_size: -64 }, ["hidden_size"]],
        [{ hidden_size: 64.5 }, ["hidden_size"]],
        [{ vocab_size: 1e300 }, ["vocab_size"]],
        [{ num_hidden_layers: 1e9 }, ["num_hidden_layers"]],
        [{ rms_norm_eps: 0 }, ["rms_norm_eps"]],
        [{ num_attention_heads: 7 }, ["num_attention_heads", "7 does not divide hidden_size, 64"]],
        [{ num_key_value_heads: 3 }, ["num_key_value_heads", "3 does not divide"]],
        [{ head_dim: 7 }, ["head_dim", "7 is odd"]],
        [{ rope_scaling: { rope_type: "yarn" } }, ["rope_scaling", '"yarn" is not supported']],
        [{ sliding_window: 16 }, ["sliding_window"]],
        [{ hidden_act: "swishy" }, ["hidden_act", '"swishy"']],
        [{ model_type: "mixtral" }, ["num_experts_per_tok"]],
        [{ model_type: "mixtral", num_local_experts: 2, num_experts_per_tok: 3 }, [
          "num_experts_per_tok",
          "3 of num_local_experts 2",
        ]],
      ] as const
    ) {
      const message = messageFor(change);
      for (const word of words) assert(message.includes(word), `${word} in: ${message}`);
    }
  });

  it("refuses sizes whose product no tensor can have, without allocating", () => {
    assert(messageFor({ hidden_size: 2 ** 30, vocab_size: 2 ** 30 }).includes("2^53"));
  });

  it("is not moved by keys that would change an object's prototype", () => {
    const config = parseDecoderConfig(
      JSON.parse(`{"__proto__": {"hidden_size": 8}, "constructor": 1, ${JSON.stringify(GOOD).slice(1)}`),
    );
    assertEquals([config.hidden_size, Object.getPrototypeOf(config) === Object.prototype], [64, true]);
    assertEquals(({} as Record<string, unknown>).hidden_size, undefined);
  });
});

describe(needsModels("loadCausalLM()"), () => {
  gpuForFile();

  it("refuses a model of another family, a folder without config, and one that is not JSON", async () => {
    await assertRejects(
      () => loadCausalLM(modelDir("mixtral-tiny-random"), {}, ["llama"]),
      Error,
      'type "mixtral"',
    );
    const dir = await Deno.makeTempDir();
    await assertRejects(() => loadCausalLM(dir), Error, "KW-MODEL-TYPE");
    await Deno.writeTextFile(`${dir}/config.json`, "{");
    await assertRejects(() => loadCausalLM(dir), Error, "KW-CONFIG-VALUE");
    await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify(GOOD));
    await assertRejects(() => loadCausalLM(dir), Error, "KW-CHECKPOINT-OPEN");
    await Deno.remove(dir, { recursive: true });
  });

  it("says which tensors do not fit a config that is not theirs", async () => {
    const dir = await Deno.makeTempDir();
    const config = JSON.parse(await Deno.readTextFile(`${modelDir("stories260k")}/config.json`));
    await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify({ ...config, intermediate_size: 170 }));
    await Deno.copyFile(`${modelDir("stories260k")}/model.safetensors`, `${dir}/model.safetensors`);
    const error = await assertRejects(() => loadCausalLM(dir), Error, "KW-CHECKPOINT-SHAPE");
    assert((error as Error).message.includes("mlp.gate_proj.weight"), (error as Error).message);
    await Deno.remove(dir, { recursive: true });
  });

  it("loads a file with other names through a whole-model mapping", async () => {
    const mapping = [
      new WeightRenaming("model.layers.*.mlp.up_proj.weight", "model.layers.*.mlp.up_proj.weight"),
    ];
    using model = await loadCausalLM(modelDir("stories260k"), { mapping });
    assert((model as DecoderLM).model.layers[0] !== undefined);
  });
});
