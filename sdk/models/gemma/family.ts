import * as z from "zod";
import { defineFamily } from "../family.ts";
import type { GemmaConfig } from "./config.ts";
import { GemmaLM } from "./model.ts";
import {
  Gemma2DecoderLayer,
  Gemma2SlidingWindowDecoderLayer,
  Gemma3DecoderLayer,
  Gemma3SlidingWindowDecoderLayer,
} from "./modules.ts";

type Json = Readonly<Record<string, unknown>>;

const positive = z.number().positive();
const FIELDS = {
  hidden_activation: z.string().optional(),
  query_pre_attn_scalar: positive,
  final_logit_softcapping: positive.optional(),
};
const KEYS = "attention_bias hidden_activation query_pre_attn_scalar final_logit_softcapping sliding_window"
  .split(" ");
// The activation is hidden_activation alone; how generation keeps its cache is its own affair.
const HARMLESS = ["hidden_act", "cache_implementation"];

/** What both leave out, and the activation under its usual name. */
function complete(json: Json): Json {
  return {
    num_key_value_heads: 4,
    head_dim: 256,
    query_pre_attn_scalar: 256,
    tie_word_embeddings: true,
    ...json,
    hidden_act: typeof json.hidden_activation === "string" ? json.hidden_activation : "gelu_pytorch_tanh",
  };
}

/** No `sliding_window` means 4096, null means that all layers see everything. */
function width(json: Json, source: Json): number {
  return source.sliding_window === null ? Infinity : Number(json.sliding_window ?? 4096);
}

/** Gemma 2: four norms a layer, soft caps of scores and logits, and a window in every other layer. */
export const gemma2 = defineFamily<GemmaConfig>({
  types: ["gemma2"],
  keys: { used: [...KEYS, "attn_logit_softcapping"], harmless: HARMLESS },
  fields: { ...FIELDS, attn_logit_softcapping: positive.optional() },
  // A cap that is null is none; one that the file does not have is the published one.
  defaults: (json, source) => ({
    max_position_embeddings: 8192,
    ...source.attn_logit_softcapping === null ? {} : { attn_logit_softcapping: 50 },
    ...source.final_logit_softcapping === null ? {} : { final_logit_softcapping: 30 },
    ...complete(json),
  }),
  window: (json, source) => ({ width: width(json, source), slides: (layer) => layer % 2 === 0 }),
  build: (config) =>
    new GemmaLM(config, (i) => {
      const window = config.windows?.[i];
      return window === undefined
        ? new Gemma2DecoderLayer(config, i)
        : new Gemma2SlidingWindowDecoderLayer(config, i, window);
    }),
});

/** The text model of Gemma 3: norms of q and k, and windowed layers whose heads turn faster than the others'. */
export const gemma3 = defineFamily<GemmaConfig>({
  types: ["gemma3_text"],
  keys: {
    used: [...KEYS, "sliding_window_pattern", "rope_local_base_freq"],
    // Newer files say layer_types, and have this beside it.
    harmless: [...HARMLESS, "_sliding_window_pattern"],
  },
  fields: { ...FIELDS, sliding_window_pattern: z.number().int().positive().optional() },
  rope_theta: 1e6,
  localTheta: { key: "rope_local_base_freq", otherwise: 10_000 },
  defaults: (json) => ({ max_position_embeddings: 131_072, ...complete(json) }),
  window(json, source) {
    const pattern = Number(json.sliding_window_pattern ?? 6);
    return { width: width(json, source), slides: (layer) => (layer + 1) % pattern !== 0 };
  },
  build: (config) =>
    new GemmaLM(config, (i) => {
      const window = config.windows?.[i];
      return window === undefined
        ? new Gemma3DecoderLayer(config, i)
        : new Gemma3SlidingWindowDecoderLayer(config, i, window);
    }),
});
