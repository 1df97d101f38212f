/** Models for examples: so small that they are written and loaded at once. @module */
import { join } from "@std/path";
import { Tensor } from "@kernelwright/sdk";
import { writeSafetensors } from "@kernelwright/sdk/checkpoint";
import { randomSource } from "@kernelwright/sdk/testing";
import { FAMILIES, familyOf } from "../../sdk/models/mod.ts";

const CONFIG = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  vocab_size: 32,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: "silu",
  tie_word_embeddings: true,
  torch_dtype: "float32",
};

const ENCODER_CONFIG = {
  model_type: "bert",
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  vocab_size: 32,
  max_position_embeddings: 64,
};

const VISION_CONFIG = {
  model_type: "vit",
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  image_size: 8,
  patch_size: 4,
  id2label: { 0: "cat", 1: "dog" },
};

/** Words, each one token. */
const WORDS = [
  "<unk>",
  "<s>",
  "</s>",
  ..."once upon a time there was little girl who had red ball".split(" "),
];

/** Writes config, weights and tokenizer of a small Llama with random weights, in Hugging Face format. */
export async function writeTinyModel(dir: string): Promise<void> {
  await writeModel(dir, CONFIG);
  writeTokenizer(dir);
}

/** The same of a small BERT, in the format of sentence-transformers. */
export async function writeTinyEmbedder(dir: string): Promise<void> {
  await writeModel(dir, ENCODER_CONFIG);
  writeTokenizer(dir);
  const module = (idx: number, name: string, path: string) => (
    { idx, name: `${idx}`, path, type: `sentence_transformers.models.${name}` }
  );
  const modules = [
    module(0, "Transformer", ""),
    module(1, "Pooling", "1_Pooling"),
    module(2, "Normalize", "2_Normalize"),
  ];
  writeJson(dir, "modules.json", modules);
  Deno.mkdirSync(join(dir, "1_Pooling"));
  writeJson(dir, "1_Pooling/config.json", { word_embedding_dimension: 16, pooling_mode_mean_tokens: true });
}

/** Config, weights and preprocessor of a small ViT that classifies. */
export async function writeTinyVision(dir: string): Promise<void> {
  await writeModel(dir, VISION_CONFIG);
  writeJson(dir, "preprocessor_config.json", {
    image_processor_type: "ViTImageProcessor",
    do_resize: true,
    size: { height: 8, width: 8 },
    resample: 2,
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
  });
}

// ---------------------------------------------------------------------------

async function writeModel(dir: string, config: { readonly model_type: string }): Promise<void> {
  Deno.mkdirSync(dir, { recursive: true });
  writeJson(dir, "config.json", config);
  const family = familyOf(config.model_type, FAMILIES);
  const random = randomSource(1);
  const weights = [...family.build(family.read(config)).stateDict()]
    .filter(([key]) => key !== "lm_head.weight") // tied
    .map(([key, p]): [string, Tensor] => {
      const values = Float32Array.from({ length: p.size }, () => random() - 0.5 + (p.rank === 1 ? 1 : 0));
      return [key, Tensor.from(values, { shape: p.shape, device: "reference" })];
    });
  const bytes = await writeSafetensors(new Map(weights), { metadata: { format: "pt" } });
  Deno.writeFileSync(join(dir, "model.safetensors"), bytes);
}

function writeTokenizer(dir: string): void {
  writeJson(dir, "tokenizer.json", {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "Whitespace" },
    post_processor: null,
    decoder: null,
    model: { type: "WordLevel", vocab: Object.fromEntries(WORDS.map((w, i) => [w, i])), unk_token: "<unk>" },
  });
  writeJson(dir, "tokenizer_config.json", { unk_token: "<unk>" });
}

function writeJson(dir: string, name: string, value: unknown): void {
  Deno.writeTextFileSync(join(dir, name), JSON.stringify(value));
}
