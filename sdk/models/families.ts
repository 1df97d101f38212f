import { checkArgument } from "../arguments.ts";
import { closest, raise } from "../errors.ts";
import type { CausalLM } from "./causal_lm.ts";
import { bert } from "./bert/family.ts";
import type { CausalLMConfig, DecoderConfig } from "./config.ts";
import { distilbert } from "./distilbert/family.ts";
import { short } from "./config_keys.ts";
import type { EncoderFamily } from "./encoder_family.ts";
import type { DecoderFamily, Family } from "./family.ts";
import { gemma2, gemma3 } from "./gemma/family.ts";
import { gpt2 } from "./gpt2/family.ts";
import { granite } from "./granite/family.ts";
import { llama } from "./llama/family.ts";
import { mistral } from "./mistral/family.ts";
import { mixtral } from "./mixtral/family.ts";
import { modernbert } from "./modernbert/family.ts";
import { olmo2 } from "./olmo2/family.ts";
import { phi3 } from "./phi3/family.ts";
import { qwen2, qwen3 } from "./qwen/family.ts";
import { qwen2Moe, qwen3Moe } from "./qwen_moe/family.ts";
import { roberta } from "./roberta/family.ts";
import { siglip, siglipVision } from "./siglip/family.ts";
import { smollm3 } from "./smollm3/family.ts";
import type { VisionFamily } from "./vision/model.ts";
import { vit } from "./vit/family.ts";

/** The decoders that are known: one line each. */
export const DECODERS: readonly DecoderFamily[] = [
  llama,
  mistral,
  qwen2,
  qwen3,
  mixtral,
  olmo2,
  granite,
  gemma2,
  gemma3,
  phi3,
  smollm3,
  qwen3Moe,
  qwen2Moe,
  gpt2,
];

/** The encoders that are known: one line each. */
export const ENCODERS: readonly EncoderFamily[] = [
  bert,
  roberta,
  distilbert,
  modernbert,
];

/** The models of images that are known: one line each. */
export const VISION: readonly VisionFamily[] = [
  vit,
  siglipVision,
  siglip,
];

/** All families that are known: decoders, and one line for each of the others. */
export const FAMILIES: readonly Family[] = [
  ...DECODERS,
  ...ENCODERS,
  ...VISION,
];

/**
 * The family of a `model_type`.
 *
 * @param among Those that are allowed. @throws KW-MODEL-TYPE
 */
export function familyOf<F extends Family>(type: unknown, among: readonly F[], file?: string): F {
  const types = among.flatMap((f) => f.types);
  const found = among.find((f) => typeof type === "string" && f.types.includes(type));
  if (found) return found;
  const near = typeof type === "string" ? closest(type, types) : undefined;
  raise(
    "KW-MODEL-TYPE",
    `Cannot load a model of type ${short(type)}`,
    `Known here: ${types.join(", ")}.${near ? ` Did you mean "${near}"?` : ""}`,
    { file, json: "model_type" },
  );
}

/**
 * Checks a decoder's config.json. Keys that are null count as absent; those that nothing is known of are listed in
 * `unknown_keys`. A family whose models are no decoders of Llama's kind (GPT-2) has a config of its own: say so by `C`.
 *
 * See the example of {@linkcode buildCausalLM}.
 *
 * @param value The parsed JSON. @param file Its path, for errors.
 * @throws KW-CONFIG-VALUE naming the field, what it is and what was expected; KW-MODEL-TYPE.
 */
export function parseDecoderConfig<C extends CausalLMConfig = DecoderConfig>(
  value: unknown,
  file?: string,
): C {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    raise("KW-CONFIG-VALUE", `Cannot use config.json: it is ${short(value)} and not an object`, undefined, {
      file,
    });
  }
  const json = value as Record<string, unknown>;
  return familyOf(json.model_type, DECODERS, file).read(json, file) as C;
}

/**
 * Builds the modules of a config on the meta device: a tree with shapes and no bytes.
 *
 * @example
 * ```ts
 * import { buildCausalLM, parseDecoderConfig } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * const config = parseDecoderConfig({
 *   model_type: "llama",
 *   hidden_size: 64,
 *   intermediate_size: 172,
 *   num_hidden_layers: 2,
 *   num_attention_heads: 4,
 *   vocab_size: 512,
 *   max_position_embeddings: 128,
 *   rms_norm_eps: 1e-5,
 * });
 * const model = buildCausalLM(config); // shapes, and no bytes
 * assertEquals(model.stateDict().get("lm_head.weight")?.shape, [512, 64]);
 * ```
 */
export function buildCausalLM(config: CausalLMConfig): CausalLM {
  checkArgument("buildCausalLM(): config", config, "an object");
  return familyOf(config.model_type, DECODERS).build(config);
}
