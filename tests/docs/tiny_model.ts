/** A model for examples: so small that it is written and loaded at once. @module */
import { join } from "@std/path";
import { Tensor } from "@kernelwright/sdk";
import { writeSafetensors } from "@kernelwright/sdk/checkpoint";
import { buildCausalLM, parseDecoderConfig } from "@kernelwright/sdk/models";
import { randomSource } from "@kernelwright/sdk/testing";

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

/** Words, each one token. */
const WORDS = [
  "<unk>",
  "<s>",
  "</s>",
  ..."once upon a time there was little girl who had red ball".split(" "),
];

/** Writes config, weights and tokenizer of a small Llama with random weights, in Hugging Face format. */
export async function writeTinyModel(dir: string): Promise<void> {
  Deno.mkdirSync(dir, { recursive: true });
  Deno.writeTextFileSync(join(dir, "config.json"), JSON.stringify(CONFIG));
  const tokenizer = {
    version: "1.0",
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: "Whitespace" },
    post_processor: null,
    decoder: null,
    model: { type: "WordLevel", vocab: Object.fromEntries(WORDS.map((w, i) => [w, i])), unk_token: "<unk>" },
  };
  Deno.writeTextFileSync(join(dir, "tokenizer.json"), JSON.stringify(tokenizer));
  Deno.writeTextFileSync(join(dir, "tokenizer_config.json"), JSON.stringify({ unk_token: "<unk>" }));
  const random = randomSource(1);
  const weights = [...buildCausalLM(parseDecoderConfig(CONFIG)).stateDict()]
    .filter(([key]) => key !== "lm_head.weight")
    .map(([key, p]): [string, Tensor] => {
      const values = Float32Array.from({ length: p.size }, () => random() - 0.5 + (p.rank === 1 ? 1 : 0));
      return [key, Tensor.from(values, { shape: p.shape, device: "reference" })];
    });
  const bytes = await writeSafetensors(new Map(weights), { metadata: { format: "pt" } });
  Deno.writeFileSync(join(dir, "model.safetensors"), bytes);
}
