import { closest, raise } from "../errors.ts";
import type { CausalLM } from "./causal_lm.ts";
import type { DecoderConfig } from "./config.ts";
import { short } from "./config_keys.ts";
import type { DecoderFamily, Family } from "./family.ts";
import { llama } from "./llama/family.ts";
import { mistral } from "./mistral/family.ts";
import { mixtral } from "./mixtral/family.ts";
import { qwen2, qwen3 } from "./qwen/family.ts";
import { siglip, siglipVision } from "./siglip/family.ts";
import type { VisionFamily } from "./vision/model.ts";
import { vit } from "./vit/family.ts";

/** The decoders that are known: one line each. */
export const DECODERS: readonly DecoderFamily[] = [
  llama,
  mistral,
  qwen2,
  qwen3,
  mixtral,
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
 * `unknown_keys`.
 *
 * @param value The parsed JSON. @param file Its path, for errors.
 * @throws KW-CONFIG-VALUE naming the field, what it is and what was expected; KW-MODEL-TYPE.
 */
export function parseDecoderConfig(value: unknown, file?: string): DecoderConfig {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    raise("KW-CONFIG-VALUE", `Cannot use config.json: it is ${short(value)} and not an object`, undefined, {
      file,
    });
  }
  const json = value as Record<string, unknown>;
  return familyOf(json.model_type, DECODERS, file).read(json, file);
}

/** Builds the modules of a config on the meta device: a tree with shapes and no bytes. */
export function buildCausalLM(config: DecoderConfig): CausalLM {
  return familyOf(config.model_type, DECODERS).build(config);
}
