import { writeSafetensors } from "../checkpoint/mod.ts";
import { buildCausalLM, type DecoderConfig, parseDecoderConfig } from "../models/mod.ts";
import { Tensor } from "../tensor/mod.ts";

const CONFIG = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 256,
  intermediate_size: 688,
  num_hidden_layers: 6,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  vocab_size: 2048,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: "silu",
  tie_word_embeddings: true,
  torch_dtype: "float32",
};

/**
 * The folder of the demo's model: a small Llama in Hugging Face format whose weights are random numbers of a fixed
 * seed. It is written when it is not there yet.
 */
export async function demoModel(): Promise<string> {
  const dir = `${cacheFolder()}/kernelwright/demo-llama-1`;
  if (await exists(`${dir}/model.safetensors`)) return dir;
  console.error(`writing a small Llama with random weights to ${dir}`);
  await Deno.mkdir(dir, { recursive: true });
  await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify(CONFIG, null, 2));
  const bytes = await randomCheckpoint(parseDecoderConfig(CONFIG), 2026);
  // Renamed into place, so that a half-written file is never taken for the model.
  await Deno.writeFile(`${dir}/model.safetensors.part`, bytes);
  await Deno.rename(`${dir}/model.safetensors.part`, `${dir}/model.safetensors`);
  return dir;
}

// ---------------------------------------------------------------------------

async function randomCheckpoint(config: DecoderConfig, seed: number): Promise<Uint8Array<ArrayBuffer>> {
  const normal = normalNumbers(seed);
  const parameters = new Map(buildCausalLM(config).stateDict());
  if (config.tie_word_embeddings) parameters.delete("lm_head.weight");
  const tensors = [...parameters].map(([key, p]): [string, Tensor] => {
    const norm = p.rank === 1;
    // Norms near one, matrices so that activations keep their size.
    const deviation = norm ? 0.1 : 1 / Math.sqrt(p.shape[1]);
    const values = Float32Array.from({ length: p.size }, () => (norm ? 1 : 0) + deviation * normal());
    return [key, Tensor.from(values, { shape: p.shape, device: "reference" })];
  });
  return await writeSafetensors(new Map(tensors), { metadata: { format: "pt" } });
}

/** Normally distributed numbers: mulberry32 for the bits, Box and Muller (1958) for the bell. */
function normalNumbers(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

function cacheFolder(): string {
  const set = Deno.env.get("XDG_CACHE_HOME");
  if (set) return set;
  const home = Deno.env.get("HOME") ?? Deno.env.get("USERPROFILE") ?? Deno.cwd();
  return `${home}/.cache`;
}

async function exists(file: string): Promise<boolean> {
  return await Deno.stat(file).then((s) => s.isFile, () => false);
}
