import * as z from "zod";
import { gatedActivation } from "../../nn/mod.ts";
import { short, withoutNulls } from "../config_keys.ts";
import type { EncoderModel } from "../encoder.ts";
import {
  checkActivation,
  defineEncoder,
  headSize,
  layers,
  positive,
  type Refuse,
  size,
} from "../encoder_family.ts";
import type { Family } from "../family.ts";
import { readRope } from "../rope_config.ts";
import { type ModernBertConfig, ModernBertModel } from "./modules.ts";

const KINDS = ["full_attention", "sliding_attention"] as const;
type Kind = typeof KINDS[number];

/** An object whose values say what they say. */
const object = z.record(z.string(), z.unknown());

/** ModernBERT. */
export const modernbert: Family<ModernBertConfig, EncoderModel> = defineEncoder({
  types: ["modernbert"],
  fields: {
    hidden_size: size,
    intermediate_size: size,
    num_hidden_layers: layers,
    num_attention_heads: size,
    vocab_size: size,
    max_position_embeddings: size.default(8192),
    hidden_activation: z.string().default("gelu"),
    norm_eps: positive.default(1e-5),
    norm_bias: z.boolean().default(false),
    attention_bias: z.boolean().default(false),
    mlp_bias: z.boolean().default(false),
    global_attn_every_n_layers: size.default(3),
    local_attention: z.number().int().nonnegative().default(128),
    global_rope_theta: positive.default(160_000),
    local_rope_theta: positive.default(10_000),
    layer_types: z.array(z.string()).optional(),
    rope_parameters: object.optional(),
    rope_scaling: object.optional(),
  },
  keys: {
    harmless: [
      "layer_norm_eps", // norm_eps counts
      ..."classifier_pooling classifier_bias classifier_activation decoder_bias mlp_dropout".split(" "),
      ..."deterministic_flash_attn sparse_prediction sparse_pred_ignore_index reference_compile".split(" "),
      ..."repad_logits_with_grad initializer_cutoff_factor".split(" "),
    ],
    refused: { type_vocab_size: [] },
  },
  complete: (fields, json, refuse, file) => {
    const { num_hidden_layers: count, max_position_embeddings: positions } = fields;
    const headDim = headSize(fields.hidden_size, fields.num_attention_heads, "num_attention_heads", refuse);
    checkActivation(fields.hidden_activation, "hidden_activation", gatedActivation, refuse);
    const kinds = kindsOf(fields.layer_types, count, fields.global_attn_every_n_layers, refuse);
    const parameters = byKind(fields.rope_parameters, refuse);
    const read = (kind: Kind, theta: number) =>
      readRope(
        { rope_parameters: { ...parameters[kind], ...withoutNulls(fields.rope_scaling ?? {}) } },
        { headDim, theta, positions, partial: false },
        file,
      );
    const ropes = {
      full_attention: read("full_attention", fields.global_rope_theta),
      sliding_attention: read("sliding_attention", fields.local_rope_theta),
    };
    const reach = Math.floor(fields.local_attention / 2);
    return {
      ...fields,
      pad_token_id: Number(json.pad_token_id ?? 50_283),
      ropes: kinds.map((kind) => ropes[kind].rope),
      reaches: kinds.map((kind) => kind === "sliding_attention" ? reach : undefined),
      unknown_keys: [...new Set(Object.values(ropes).flatMap((r) => r.unknown))],
    };
  },
  build: (config) => new ModernBertModel(config),
  prefix: "model",
  tops: ["embeddings", "layers", "final_norm"],
  heads: ["head", "decoder", "classifier"],
});

// ---------------------------------------------------------------------------

function kindsOf(types: readonly string[] | undefined, count: number, every: number, refuse: Refuse): Kind[] {
  if (!types) {
    return Array.from({ length: count }, (_, i) => i % every === 0 ? "full_attention" : "sliding_attention");
  }
  if (types.length !== count) refuse("layer_types", `${types.length} of them for num_hidden_layers ${count}`);
  return types.map((type) => {
    const kind = KINDS.find((k) => k === type);
    return kind ??
      refuse("layer_types", `${short(type)} is not supported`, `Supported: ${KINDS.join(", ")}.`);
  });
}

/** Rotary settings have an entry for each kind of layer. Of flat ones there is no telling which kind they are for. */
function byKind(
  parameters: Readonly<Record<string, unknown>> | undefined,
  refuse: Refuse,
): Readonly<Record<Kind, Readonly<Record<string, unknown>>>> {
  const found: Record<Kind, Readonly<Record<string, unknown>>> = {
    full_attention: {},
    sliding_attention: {},
  };
  for (const [key, value] of Object.entries(withoutNulls(parameters ?? {}))) {
    const kind = KINDS.find((k) => k === key);
    const field = `rope_parameters.${key}`;
    if (!kind) {
      return refuse(field, "is not a kind of layer", `Give an entry for each of ${KINDS.join(", ")}.`);
    }
    if (typeof value !== "object" || Array.isArray(value)) refuse(field, `${short(value)} is not an object`);
    found[kind] = withoutNulls(value as Record<string, unknown>);
  }
  return found;
}
