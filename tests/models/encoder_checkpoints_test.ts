/** Checkpoints of tasks' models and of old versions, and the keys of config.json of encoders. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { afterEach, describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import { type KernelConfig, kernelReport } from "../../sdk/kernelize/mod.ts";
import {
  AutoModel,
  type BertModel,
  type PretrainedOptions,
  type PretrainedReport,
  savePretrained,
} from "../../sdk/models/mod.ts";
import { fileBelow, serveFiles } from "../helpers/file_server.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { expectedJson, modelDir, needsModels } from "./checkpoints.ts";
import { changedFolder, type Changes, hiddenOf, type Input } from "./encoder_inputs.ts";
import { largestDifference } from "./logits.ts";

const [BERT, ROBERTA] = ["minilm-sentence-tiny-random", "roberta-tiny-random"];
const [DISTIL, MODERN] = ["distilbert-tiny-random", "modernbert-tiny-random"];

/** Family by family: the prefix, and keys of heads. */
const TASKS: readonly [string, string, string[]][] = [
  [BERT, "bert", ["cls.predictions.bias", "classifier.weight", "cls.predictions.transform.LayerNorm.gamma"]],
  [ROBERTA, "roberta", ["lm_head.bias", "lm_head.layer_norm.weight", "classifier.out_proj.weight"]],
  [DISTIL, "distilbert", ["vocab_transform.weight", "pre_classifier.bias", "qa_outputs.weight"]],
  [MODERN, "model", ["head.dense.weight", "decoder.bias", "classifier.bias"]],
];

const made: string[] = [];

async function changed(name: string, changes: Changes): Promise<string> {
  const dir = await changedFolder(name, changes);
  made.push(dir);
  return dir;
}

async function load(dir: string, options: PretrainedOptions = {}) {
  const warnings: string[] = [];
  let report: PretrainedReport | undefined;
  const model = await AutoModel.fromPretrained(dir, {
    onWarning: (w) => warnings.push(w),
    onReport: (r) => report = r,
    ...options,
  });
  return { model, warnings, report: report! };
}

async function firstHidden(dir: string, name: string, options?: PretrainedOptions): Promise<number[]> {
  const { model } = await load(dir, options);
  using _ = model;
  return await hiddenOf(model, (await expectedJson<Input[]>(name, "inputs"))[0]);
}

async function refusal(dir: string): Promise<KernelwrightError> {
  return await assertRejects(() => load(dir), KernelwrightError);
}

describe(needsModels("checkpoints of encoders"), () => {
  gpuForFile();
  afterEach(async () => {
    for (const dir of made.splice(0)) await Deno.remove(dir, { recursive: true });
  });

  for (const [name, prefix, heads] of TASKS) {
    it(`${name} loads under "${prefix}." with heads beside it, and gives all bytes back`, async () => {
      const before = memory().buffers;
      const extra = [...heads, "my_own.head"];
      const dir = await changed(name, { rename: (key) => `${prefix}.${key}`, extra });
      {
        for (const dtype of ["f32", "f16"] as const) {
          const { model, warnings, report } = await load(dir, { dtype });
          using _ = model;
          assertEquals(report.beside.toSorted(), extra.toSorted());
          assertEquals([report.unexpected, report.missing], [[], []]);
          assertEquals(warnings.length, 1);
          for (const key of extra) assert(warnings[0].includes(key), warnings[0]);
          if (dtype === "f16") continue;
          const [input] = await expectedJson<Input[]>(name, "inputs");
          const plain = await firstHidden(modelDir(name), name);
          assertEquals(largestDifference(await hiddenOf(model, input), plain), 0);
          await savePretrained(model, `${dir}/saved`);
          await savePretrained(model, dir); // over what it is read from
          for (const at of [`${dir}/saved`, dir]) {
            const again = await Deno.readFile(`${at}/model.safetensors`);
            const copy = await changed(name, { rename: (key) => `${prefix}.${key}`, extra });
            assertEquals(again, await Deno.readFile(`${copy}/model.safetensors`), at);
          }
        }
      }
      assertEquals(memory().buffers, before);
    });

    it(`${name} loads with a head and no prefix, and refuses what is nobody's`, async () => {
      const { model, report } = await load(await changed(name, { extra: heads }));
      model.dispose();
      assertEquals(report.beside.length, heads.length);
      const error = await refusal(await changed(name, { extra: ["my_own.head"] }));
      assertEquals(error.code, "KW-CHECKPOINT-KEYS");
      assert(error.message.includes("my_own.head"), error.message);
      const inside = await refusal(
        await changed(name, { rename: (key) => `${prefix}.${key}`, extra: [`${prefix}.adapter.weight`] }),
      );
      assert(inside.message.includes("adapter.weight"), inside.message);
    });
  }

  it("renames gamma and beta of old files, keeps position_ids, and gives both back", async () => {
    for (const prefix of ["", "bert."]) {
      const rename = (key: string) =>
        prefix +
        key.replace(/LayerNorm\.weight$/, "LayerNorm.gamma").replace(/LayerNorm\.bias$/, "LayerNorm.beta");
      const extra = [`${prefix}embeddings.position_ids`];
      const dir = await changed(BERT, { rename, extra });
      const { model, warnings } = await load(dir);
      using _ = model;
      assertEquals(warnings, []);
      const [input] = await expectedJson<Input[]>(BERT, "inputs");
      assertEquals(
        largestDifference(await hiddenOf(model, input), await firstHidden(modelDir(BERT), BERT)),
        0,
      );
      await savePretrained(model, `${dir}/saved`);
      assertEquals(
        await Deno.readFile(`${dir}/saved/model.safetensors`),
        await Deno.readFile(`${dir}/model.safetensors`),
      );
    }
  });

  it("copies heads that are larger than one piece", async () => {
    const dir = await changed(BERT, { extra: ["cls.predictions.decoder.weight"], extraSize: 1_200_000 });
    const { model } = await load(dir);
    using _ = model;
    await savePretrained(model, `${dir}/saved`);
    const [now, then] = [`${dir}/saved`, dir].map((d) => Deno.readFileSync(`${d}/model.safetensors`));
    assert(now.length === then.length && now.every((b, i) => b === then[i]));
  });

  it("copies heads from an address, and from files that a user picked", async () => {
    const dir = await changed(BERT, { extra: ["cls.bias"] });
    await using server = serveFiles({ read: (path) => fileBelow(dir, path) });
    const files = Object.fromEntries(
      ["config.json", "model.safetensors"].map((
        name,
      ) => [name, new Blob([Deno.readFileSync(`${dir}/${name}`)])]),
    );
    for (const place of [server.url, files]) {
      using model = await AutoModel.fromPretrained(place, { onWarning: () => {} });
      await savePretrained(model, `${dir}/saved`);
      assertEquals(
        await Deno.readFile(`${dir}/saved/model.safetensors`),
        await Deno.readFile(`${dir}/model.safetensors`),
      );
    }
  });

  it("runs with kernels, and gives the original's bytes back", async () => {
    const at = "encoder.layer.*.attention.self";
    const kernels = {
      kernels: [{
        fuseParallel: [["Linear", `${at}.query`], ["Linear", `${at}.key`], ["Linear", `${at}.value`]],
        with: new URL("../../examples/qkv-parallel:QKVParallel", import.meta.url).href,
      }],
    } as KernelConfig;
    const [input] = await expectedJson<Input[]>(ROBERTA, "inputs");
    const dir = await changed(ROBERTA, { rename: (key) => `roberta.${key}`, extra: ["lm_head.bias"] });
    const { model } = await load(dir, { kernels });
    using _ = model;
    assertEquals(kernelReport(model)!.sites.length, 2);
    const plain = await firstHidden(modelDir(ROBERTA), ROBERTA);
    assert(largestDifference(await hiddenOf(model, input), plain) < 1e-5);
    await savePretrained(model, `${dir}/saved`, { kernels: false });
    assertEquals(
      await Deno.readFile(`${dir}/saved/model.safetensors`),
      await Deno.readFile(`${dir}/model.safetensors`),
    );
  });

  it("does without a pooler, and not with half of one", async () => {
    const dir = await changed(BERT, { rename: (key) => key.startsWith("pooler.") ? undefined : key });
    const { model } = await load(dir);
    using _ = model;
    assertEquals((model as BertModel).pooler, undefined);
    const half = await refusal(
      await changed(BERT, { rename: (key) => key === "pooler.dense.bias" ? undefined : key }),
    );
    assert(half.message.includes("pooler.dense.bias"), half.message);
  });

  it("says so where a head cannot be copied any more", async () => {
    const dir = await changed(BERT, { extra: ["cls.bias"] });
    const { model } = await load(dir);
    using _ = model;
    await Deno.copyFile(`${modelDir(BERT)}/model.safetensors`, `${dir}/model.safetensors`);
    for (const gone of [false, true]) {
      if (gone) await Deno.remove(`${dir}/model.safetensors`);
      const error = await assertRejects(() => savePretrained(model, `${dir}/saved`), KernelwrightError);
      assertEquals(error.code, "KW-CHECKPOINT-WRITE");
      assert(error.message.includes("cls.bias"), error.message);
    }
  });

  it("refuses more tokens than positions, and masks of other shapes", async () => {
    for (const [name, most] of [[BERT, 40], [ROBERTA, 32], [DISTIL, 32]] as const) {
      const { model } = await load(modelDir(name));
      using _ = model;
      const ids = (n: number) => Array.from({ length: n }, () => 5);
      const run = (n: number) => hiddenOf(model, { input_ids: ids(n), attention_mask: ids(n) });
      assertEquals((await run(most)).length, most * model.config.hidden_size);
      const error = await assertRejects(() => run(most + 1), KernelwrightError);
      assertEquals(error.code, "KW-TENSOR-SHAPE");
      await assertRejects(
        () => hiddenOf(model, { input_ids: ids(4), attention_mask: [1, 0] }),
        KernelwrightError,
        "attention_mask",
      );
    }
  });

  it("refuses parts of a text where the model has none", async () => {
    for (const name of [DISTIL, MODERN]) {
      const { model } = await load(modelDir(name));
      using _ = model;
      const input = { input_ids: [5, 6], attention_mask: [1, 1], token_type_ids: [0, 1] };
      const error = await assertRejects(() => hiddenOf(model, input), KernelwrightError);
      assertEquals(error.code, "KW-ARGUMENT");
    }
  });

  it("gives a text of padding alone numbers, not NaN", async () => {
    for (const name of [BERT, ROBERTA, DISTIL, MODERN]) {
      const { model } = await load(modelDir(name));
      using _ = model;
      const { pad_token_id: pad } = model.config;
      const out = await hiddenOf(model, { input_ids: [pad, pad, pad], attention_mask: [0, 0, 0] });
      assert(out.every(Number.isFinite), name);
    }
  });

  const OTHER: Record<string, unknown> = {
    ...{ hidden_act: "relu", activation: "relu", hidden_activation: "relu", model_type: "gemma" },
    ...{ layer_norm_eps: 0.1, norm_eps: 0.1, pad_token_id: 2, local_attention: 2 },
    ...{ global_rope_theta: 50, local_rope_theta: 50, max_position_embeddings: 80 },
  };
  const SILENT = new Set([
    ..."architectures attention_probs_dropout_prob hidden_dropout_prob initializer_range torch_dtype".split(
      " ",
    ),
    ..."attention_dropout dropout qa_dropout seq_classif_dropout sinusoidal_pos_embds".split(" "),
    ..."embedding_dropout mlp_dropout bos_token_id cls_token_id eos_token_id sep_token_id".split(" "),
  ]);
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

  for (const [name] of TASKS) {
    it(`${name}: each key changes numbers, is refused, or is known to change nothing`, async () => {
      const json = JSON.parse(await Deno.readTextFile(`${modelDir(name)}/config.json`));
      const dir = await changed(name, {});
      const run = async (change: Record<string, unknown>) => {
        await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify({ ...json, ...change }));
        return await firstHidden(dir, name, { onWarning: (w) => assert(false, w) });
      };
      const before = await run({});
      for (const [key, value] of Object.entries(json)) {
        // Without effect on these weights: a padding id of BERT's, positions that no row is for, ModernBERT's other epsilon.
        const none = SILENT.has(key) || key === "pad_token_id" && name !== ROBERTA ||
          name === MODERN && ["max_position_embeddings", "layer_norm_eps"].includes(key);
        const seen = await run({ [key]: other(key, value) }).then(
          (after) => largestDifference(before, after) > 1e-6 ? "numbers" : "nothing",
          (error) => String(error.code),
        );
        if (none) assertEquals(seen, "nothing", key);
        else assert(seen === "numbers" || seen.startsWith("KW-"), `${key}: ${seen}`);
      }
    });

    it(`${name} refuses by name what would be another model, and names what it does not know`, async () => {
      for (
        const [key, value] of Object.entries({
          is_decoder: true,
          add_cross_attention: true,
          position_embedding_type: "relative_key",
          is_encoder_decoder: true,
          quantization_config: { quant_method: "gptq", bits: 4 },
          vocab_size: "150",
          [{ [DISTIL]: "activation", [MODERN]: "hidden_activation" }[name] ?? "hidden_act"]: "mish",
        })
      ) {
        const error = await refusal(await changed(name, { config: { [key]: value } }));
        assertEquals(error.code, "KW-CONFIG-VALUE", key);
        assert(error.message.includes(key), error.message);
      }
      const { model, warnings } = await load(await changed(name, { config: { attn_warp: 3 } }));
      model.dispose();
      assert(warnings.length === 1 && warnings[0].includes("attn_warp"), warnings.join());
    });
  }

  it("reads the newer keys of ModernBERT as the old ones", async () => {
    const none = {
      global_attn_every_n_layers: undefined,
      global_rope_theta: undefined,
      local_rope_theta: undefined,
      layer_types: ["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
      rope_parameters: {
        full_attention: { rope_type: "default", rope_theta: 160_000 },
        sliding_attention: { rope_type: "default", rope_theta: 10_000 },
      },
    };
    const before = await firstHidden(modelDir(MODERN), MODERN);
    const differs = async (config: Record<string, unknown>) =>
      largestDifference(await firstHidden(await changed(MODERN, { config }), MODERN), before) > 1e-6;
    assert(!await differs(none));
    const [full, , , last] = none.layer_types;
    assert(await differs({ ...none, layer_types: [full, last, last, full] }));
    assert(await differs({ ...none, rope_scaling: { rope_type: "linear", factor: 4 } }));
    for (const kind of Object.keys(none.rope_parameters)) {
      assert(
        await differs({ ...none, rope_parameters: { ...none.rope_parameters, [kind]: { rope_theta: 9 } } }),
      );
    }
    for (
      const [config, key] of [
        [{ layer_types: ["full_attention"] }, "layer_types"],
        [{ layer_types: ["full_attention", "chunked", "chunked", "chunked"] }, "layer_types"],
        [{ rope_parameters: { rope_theta: 10_000 } }, "rope_parameters"],
        [{ rope_parameters: { full_attention: { rope_type: "su" } } }, "rope_parameters"],
        [{ norm_bias: true }, "bias"],
      ] as const
    ) {
      const error = await refusal(await changed(MODERN, { config }));
      assert(error.message.includes(key), error.message);
    }
  });

  it("takes XLM-RoBERTa for RoBERTa, and refuses rows that leave no position", async () => {
    const dir = await changed(ROBERTA, { config: { model_type: "xlm-roberta" } });
    assertEquals(
      largestDifference(await firstHidden(dir, ROBERTA), await firstHidden(modelDir(ROBERTA), ROBERTA)),
      0,
    );
    const error = await refusal(await changed(ROBERTA, { config: { pad_token_id: 33 } }));
    assert(error.message.includes("max_position_embeddings"), error.message);
  });

  it("refuses two names of DistilBERT that differ", async () => {
    const error = await refusal(await changed(DISTIL, { config: { num_hidden_layers: 6 } }));
    assert(error.message.includes("num_hidden_layers"), error.message);
    const { model } = await load(await changed(DISTIL, { config: { num_hidden_layers: 3 } }));
    model.dispose();
  });
});
