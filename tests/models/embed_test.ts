/** Texts to vectors, as a sentence-transformers folder says. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import {
  AutoModel,
  cosineSimilarity,
  type EmbedderOptions,
  type EmbedInput,
  type EncoderModel,
  type Pooling,
  POOLINGS,
  readEmbeddingSettings,
  savePretrained,
  SentenceEmbedder,
} from "../../sdk/models/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { expectedJson, expectedTensor, modelDir, needsModels } from "./checkpoints.ts";
import { hiddenOf, type Input } from "./encoder_inputs.ts";
import { largestDifference } from "./logits.ts";

const MINILM = "minilm-sentence-tiny-random";

/** Words are ids: "w7" is 7. Behind [CLS] and before [SEP]. */
const TOKENIZER = {
  version: "1.0",
  added_tokens: [{ id: 1, content: "[CLS]", special: true }, { id: 2, content: "[SEP]", special: true }],
  normalizer: null,
  pre_tokenizer: { type: "WhitespaceSplit" },
  post_processor: {
    type: "TemplateProcessing",
    single: [
      { SpecialToken: { id: "[CLS]", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      { SpecialToken: { id: "[SEP]", type_id: 0 } },
    ],
    pair: [{ Sequence: { id: "A", type_id: 0 } }],
    special_tokens: {
      "[CLS]": { id: "[CLS]", ids: [1], tokens: ["[CLS]"] },
      "[SEP]": { id: "[SEP]", ids: [2], tokens: ["[SEP]"] },
    },
  },
  decoder: null,
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: {
      "[UNK]": 0,
      "[CLS]": 1,
      "[SEP]": 2,
      ...Object.fromEntries(Array.from({ length: 147 }, (_, i) => [`w${i + 3}`, i + 3])),
    },
  },
};

type Files = Readonly<Record<string, unknown>>;

/** The folder with other files; undefined takes one away. */
async function blobs(changes: Files = {}, name = MINILM): Promise<Record<string, Blob>> {
  const found: Record<string, Blob> = {};
  for (
    const file of [
      "config.json",
      "model.safetensors",
      ...name === MINILM ? ["modules.json", "1_Pooling/config.json", "sentence_bert_config.json"] : [],
    ]
  ) found[file] = new Blob([await Deno.readFile(`${modelDir(name)}/${file}`)]);
  const all = { "tokenizer.json": TOKENIZER, ...changes };
  for (const [file, value] of Object.entries(all)) {
    if (value === undefined) delete found[file];
    else found[file] = new Blob([JSON.stringify(value)]);
  }
  return found;
}

async function embedder(changes?: Files, options?: EmbedderOptions): Promise<SentenceEmbedder> {
  return await SentenceEmbedder.fromPretrained(await blobs(changes), options);
}

async function refusal(changes: Files, options?: EmbedderOptions): Promise<string> {
  const before = memory().tensors;
  const error = await assertRejects(() => embedder(changes, options), KernelwrightError);
  assertEquals(error.code, "KW-EMBED-CONFIG", error.message);
  assertEquals(memory().tensors, before);
  return error.message;
}

const module = (name: string, path = "") => ({
  idx: 0,
  name,
  path,
  type: `sentence_transformers.models.${name}`,
});
const [TRANSFORMER, POOLING] = [module("Transformer"), module("Pooling", "1_Pooling")];

/** Pooled by hand, one text alone. */
async function byHand(model: EncoderModel, ids: number[], pooling: Pooling): Promise<number[]> {
  const hidden = await hiddenOf(model, { input_ids: ids, attention_mask: ids.map(() => 1) });
  const [n, width] = [ids.length, hidden.length / ids.length];
  return Array.from({ length: width }, (_, d) => {
    const v = ids.map((_, t) => hidden[t * width + d]);
    const sum = (w: (t: number) => number) => v.reduce((s, x, t) => s + x * w(t), 0);
    return {
      cls: v[0],
      max: Math.max(...v),
      mean: sum(() => 1) / n,
      mean_sqrt_len: sum(() => 1) / Math.sqrt(n),
      weightedmean: sum((t) => t + 1) / (n * (n + 1) / 2),
      lasttoken: v[n - 1],
    }[pooling];
  });
}

const TEXTS = ["w9 w20 w30", "w9", "w100 w101 w102 w103 w104 w105 w106", "w50 w60", "", "w9 w20 w31"];

describe(needsModels("SentenceEmbedder"), () => {
  gpuForFile();

  it("gives the expected vectors of ids, on both devices, one by one and together", async () => {
    const inputs = await expectedJson<Input[]>(MINILM, "inputs");
    const before = memory().buffers;
    for (const device of ["webgpu", "reference"] as const) {
      using e = await SentenceEmbedder.fromPretrained(modelDir(MINILM), { device });
      assertEquals([e.width, e.maxLength], [48, 32]);
      const rows: EmbedInput[] = inputs.map(({ input_ids, attention_mask, token_type_ids }) => ({
        input_ids: input_ids.filter((_, t) => attention_mask[t]),
        token_type_ids,
      }));
      const together = await e.embed(rows);
      for (const [i, { name }] of inputs.entries()) {
        const wanted = await expectedTensor(MINILM, "outputs", `${name}.sentence_embedding`);
        const [alone] = await e.embed([rows[i]]);
        for (const found of [together[i], alone]) {
          const off = largestDifference(found, wanted);
          assert(off < (device === "webgpu" ? 1e-5 : 1e-6), `${device}, ${name}: off by ${off}`);
        }
      }
    }
    assertEquals(memory().buffers, before);
  });

  for (const name of [MINILM, "roberta-tiny-random", "distilbert-tiny-random", "modernbert-tiny-random"]) {
    it(`pools what ${name} gives in each way, the same in batches of any size`, async () => {
      const files = await blobs({ "modules.json": undefined }, name);
      using model = await AutoModel.fromPretrained(files);
      for (const pooling of POOLINGS) {
        using e = await SentenceEmbedder.fromPretrained(files, { pooling });
        const ids = TEXTS.map((text) => e.tokenizer!.encode(text));
        for (const batchSize of [1, 2, 32]) {
          const vectors = await e.embed(TEXTS, { batchSize });
          for (const [i, row] of ids.entries()) {
            const off = largestDifference(vectors[i], await byHand(model, row, pooling));
            assert(off < 2e-5, `${pooling}, ${batchSize} at once, text ${i}: off by ${off}`);
          }
        }
      }
    });
  }

  it("puts several poolings behind each other, and normalises all of it", async () => {
    const config = {
      word_embedding_dimension: 48,
      pooling_mode_mean_tokens: true,
      pooling_mode_cls_token: true,
      pooling_mode_max_tokens: false,
    };
    for (const normalize of [true, false]) {
      const modules = [TRANSFORMER, POOLING, ...normalize ? [module("Normalize", "2_Normalize")] : []];
      using e = await embedder({ "modules.json": modules, "1_Pooling/config.json": config });
      assertEquals([e.width, e.settings.normalize], [96, normalize]);
      const [vector] = await e.embed(["w4 w5"]);
      const whole = [
        ...await byHand(e.model, [1, 4, 5, 2], "cls"),
        ...await byHand(e.model, [1, 4, 5, 2], "mean"),
      ];
      const length = normalize ? Math.hypot(...whole) : 1;
      assert(largestDifference(vector, whole.map((v) => v / length)) < 1e-5);
    }
  });

  it("cuts long texts, and keeps what is around them", async () => {
    using e = await embedder({ "sentence_bert_config.json": { max_seq_length: 6 } });
    const long = "w10 w11 w12 w13 w14 w15 w16 w17";
    const [cut, ids] = await e.embed([long, [1, 10, 11, 12, 13, 2]]);
    assert(largestDifference(cut, ids) < 1e-6);
    const [short] = await e.embed(["w10 w11 w12"]);
    assert(largestDifference(cut, short) > 1e-3);
    // Without a length in the file, the tokenizer's, and at most the model's positions.
    for (const [length, most] of [[7, 7], [1e30, 40]] as const) {
      using other = await embedder({
        "sentence_bert_config.json": undefined,
        "tokenizer_config.json": { model_max_length: length },
      });
      assertEquals(other.maxLength, most);
    }
  });

  it("puts prompts before texts, makes them lower case, and strips them, as the folder says", async () => {
    using e = await embedder({
      "sentence_bert_config.json": { max_seq_length: 32, do_lower_case: true },
      "config_sentence_transformers.json": {
        __version__: { sentence_transformers: "3.0.0" },
        prompts: { query: "w3 W4 ", plain: "" },
        default_prompt_name: "query",
        similarity_fn_name: "cosine",
      },
    });
    const [query, plain, bare] = [
      ...await e.embed([" W9 w20\n"]),
      ...await e.embed(["w9 w20"], { prompt: "plain" }),
      ...await e.embed([[1, 3, 4, 9, 20, 2]], { prompt: "plain" }),
    ];
    assert(largestDifference(query, bare) < 1e-6);
    assert(largestDifference(query, plain) > 1e-3);
    await assertRejects(() => e.embed(["w9"], { prompt: "passage" }), KernelwrightError, "passage");
  });

  it("finds the model in the folder of its module", async () => {
    const files = await blobs();
    for (const name of ["config.json", "model.safetensors", "tokenizer.json", "sentence_bert_config.json"]) {
      files[`0_Transformer/${name}`] = files[name];
      delete files[name];
    }
    const modules = [module("Transformer", "0_Transformer"), POOLING];
    files["modules.json"] = new Blob([JSON.stringify(modules)]);
    using e = await SentenceEmbedder.fromPretrained(files, { normalize: true });
    using plain = await embedder();
    const [[a], [b]] = [await e.embed(["w5 w6"]), await plain.embed(["w5 w6"])];
    assertEquals([e.maxLength, largestDifference(a, b)], [32, 0]);
  });

  it("is the same after saving: the settings go with the model", async () => {
    const dir = await Deno.makeTempDir();
    try {
      using e = await SentenceEmbedder.fromPretrained(modelDir(MINILM));
      await savePretrained(e.model, dir);
      await savePretrained(e.model, dir); // over it
      using again = await SentenceEmbedder.fromPretrained(dir);
      assertEquals(again.settings, e.settings);
      assertEquals(await again.embed([[5, 6, 7]]), await e.embed([[5, 6, 7]]));
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });

  it("reads the names that modules have in newer folders", async () => {
    const type = "sentence_transformers.sentence_transformer.modules";
    const modules = [
      { ...TRANSFORMER, type: "sentence_transformers.base.modules.transformer.Transformer" },
      { ...POOLING, type: `${type}.pooling.Pooling` },
      { ...module("Normalize", "2_Normalize"), type: `${type}.normalize.Normalize` },
    ];
    const pooling = { embedding_dimension: 48, pooling_mode: "lasttoken", include_prompt: true };
    const settings = await readEmbeddingSettings(
      await blobs({ "modules.json": modules, "1_Pooling/config.json": pooling }),
    );
    assertEquals([settings!.pooling, settings!.normalize, settings!.maxLength], [["lasttoken"], true, 32]);
  });

  it("refuses, by name, whatever it does not know", async () => {
    const dense = module("Dense", "2_Dense");
    for (
      const [changes, name] of [
        [{ "modules.json": [TRANSFORMER, POOLING, dense] }, "Dense"],
        [{ "modules.json": [TRANSFORMER, { ...POOLING, type: "my_code.Pooling" }] }, "my_code.Pooling"],
        [{ "modules.json": [TRANSFORMER] }, "Transformer"],
        [{ "modules.json": [POOLING, TRANSFORMER] }, "Pooling, Transformer"],
        [{ "modules.json": [] }, "modules"],
        [{ "modules.json": {} }, "modules.json"],
        [{ "modules.json": [TRANSFORMER, { ...POOLING, path: "../1_Pooling" }] }, "../1_Pooling"],
        [{ "modules.json": [{ ...TRANSFORMER, path: "/etc" }, POOLING] }, "/etc"],
        [{ "modules.json": [{ ...TRANSFORMER, kwargs: ["task"] }, POOLING] }, "kwargs"],
        [{ "1_Pooling/config.json": undefined }, "1_Pooling"],
        [
          { "1_Pooling/config.json": { pooling_mode_mean_tokens: true, pooling_mode_new: true } },
          "pooling_mode_new",
        ],
        [{ "1_Pooling/config.json": { pooling_mode_mean_tokens: false } }, "pooling"],
        [{ "1_Pooling/config.json": { pooling_mode: "median" } }, "median"],
        [{ "1_Pooling/config.json": { pooling_mode: "mean", word_embedding_dimension: 64 } }, "64"],
        [{ "2_Normalize/config.json": { p: 1 } }, '"p"'],
        [{ "sentence_bert_config.json": { max_seq_length: 0 } }, "max_seq_length"],
        [{ "sentence_bert_config.json": { max_len: 5 } }, "max_len"],
        [{ "sentence_bert_config.json": { model_args: { num_hidden_layers: 1 } } }, "num_hidden_layers"],
        [{ "config_sentence_transformers.json": { default_prompt_name: "query" } }, "query"],
        [{ "config_sentence_transformers.json": { truncate_dim: 5 } }, "truncate_dim"],
        [{ "config_sentence_transformers.json": { model_type: "SparseEncoder" } }, "model_type"],
        [{ "modules.json": undefined }, "modules.json"],
      ] as const
    ) {
      const message = await refusal(changes);
      assert(message.includes(name), `${JSON.stringify(changes)}: ${message}`);
    }
    await refusal({}, { pooling: "median" as Pooling });
    const e = await embedder({ "sentence_bert_config.json": { model_args: { add_pooling_layer: false } } });
    e.dispose();
  });

  it("refuses texts and ids that are not usable, naming the place", async () => {
    using e = await embedder();
    using without = await SentenceEmbedder.fromPretrained(modelDir(MINILM));
    for (
      const [of, inputs, what] of [
        [e, ["w9", []], "text 1"],
        [e, [[1, 150]], "id 150"],
        [e, [[1, -1]], "id -1"],
        [e, [[1.5]], "id 1.5"],
        [e, [Array.from({ length: 33 }, () => 5)], "33"],
        [e, [{ input_ids: [1, 2], token_type_ids: [0] }], "token_type_ids"],
        [e, [{ input_ids: [1, 2], token_type_ids: [0, 2] }], "token_type_id 2"],
        [e, [null], "text 0"],
        [without, ["w9"], "tokenizer.json"],
      ] as const
    ) {
      const error = await assertRejects(() => of.embed(inputs as unknown as EmbedInput[]), KernelwrightError);
      assertEquals(error.code, "KW-EMBED-TEXT");
      assert(error.message.includes(what), error.message);
    }
    assertEquals(await e.embed([]), []);
    const stop = AbortSignal.abort();
    await assertRejects(() => e.embed(["w9"], { signal: stop }), KernelwrightError, "KW-ABORTED");
  });

  it("tells how alike vectors are", () => {
    assertEquals(cosineSimilarity([1, 0], [0, 2]), 0);
    assertEquals(cosineSimilarity([3, 4], [6, 8]), 1);
    assertEquals(cosineSimilarity([0, 0], [6, 8]), 0);
  });
});
