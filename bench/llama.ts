import { writeSafetensors } from "../sdk/checkpoint/mod.ts";
import { buildCausalLM, parseDecoderConfig } from "../sdk/models/mod.ts";
import { Tensor } from "../sdk/tensor/mod.ts";
import { numbers } from "./data.ts";

const CONFIG = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 512,
  intermediate_size: 1408,
  num_hidden_layers: 8,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  vocab_size: 8192,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: "silu",
  tie_word_embeddings: true,
  torch_dtype: "float32",
};

/** The folder of a Llama with random weights, about 110 MB, written when it is not there yet. */
export async function generatedLlama(): Promise<string> {
  const temp = Deno.env.get("TMPDIR") ?? "/tmp";
  const dir = `${temp}/kernelwright-bench-llama-512x8`;
  if (await Deno.stat(`${dir}/model.safetensors`).then(() => true, () => false)) return dir;
  await Deno.mkdir(dir, { recursive: true });
  await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify(CONFIG, null, 2));
  const parameters = new Map(buildCausalLM(parseDecoderConfig(CONFIG)).stateDict());
  parameters.delete("lm_head.weight"); // tied
  let seed = 1;
  const tensors = new Map([...parameters].map(([key, p]): [string, Tensor] => {
    // Uniform numbers of deviation 1/√columns, so that activations keep their size.
    const values = p.rank === 1
      ? numbers(p.size, seed++, 0.1).map((v) => 1 + v)
      : numbers(p.size, seed++, Math.sqrt(3 / p.shape[1]));
    return [key, Tensor.from(values, { shape: p.shape, device: "reference" })];
  }));
  const bytes = await writeSafetensors(tensors, { metadata: { format: "pt" } });
  await Deno.writeFile(`${dir}/model.safetensors.part`, bytes);
  await Deno.rename(`${dir}/model.safetensors.part`, `${dir}/model.safetensors`);
  return dir;
}

/** The folder of the stories model, or undefined where it is absent. */
export async function storiesModel(): Promise<string | undefined> {
  const url = new URL("../../shared/models/stories260k", import.meta.url);
  const dir = decodeURIComponent(url.pathname);
  return await Deno.stat(`${dir}/config.json`).then(() => dir, () => undefined);
}
