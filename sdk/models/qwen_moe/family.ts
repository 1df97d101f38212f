import * as z from "zod";
import type { DecoderConfig } from "../config.ts";
import { decoderLayer } from "../decoder.ts";
import { defineFamily, type FamilyDefinition } from "../family.ts";
import { spellings, stackedExperts } from "../other_names.ts";
import { Qwen2MoeDecoderLayer, Qwen3MoeDecoderLayer } from "./modules.ts";

type Json = Readonly<Record<string, unknown>>;

const KEYS = [
  ..."num_experts num_experts_per_tok moe_intermediate_size norm_topk_prob decoder_sparse_step".split(" "),
  ..."mlp_only_layers sliding_window use_sliding_window".split(" "),
];
const size = z.number().int().positive();
const count = z.number().int().nonnegative().max(10_000);
const FIELDS = {
  num_experts: count.optional(),
  num_local_experts: count.optional(),
  num_experts_per_tok: size.optional(),
  moe_intermediate_size: size.optional(),
  norm_topk_prob: z.boolean().optional(),
  decoder_sparse_step: size.optional(),
  mlp_only_layers: z.array(z.number().int()).optional(),
};

/** How many experts there are, how many are used and how wide they are: as published, where the file says nothing. */
function experts(
  json: Json,
  layers: number,
  [all, chosen, width]: readonly number[],
): Partial<DecoderConfig> {
  const num_local_experts = Number(json.num_experts ?? json.num_local_experts ?? all);
  const dense = json.mlp_only_layers as readonly number[] | undefined;
  const step = Number(json.decoder_sparse_step ?? 1);
  return {
    num_local_experts,
    num_experts_per_tok: Number(json.num_experts_per_tok ?? chosen),
    moe_intermediate_size: Number(json.moe_intermediate_size ?? width),
    norm_topk_prob: json.norm_topk_prob === true,
    sparse: Array.from(
      { length: layers },
      (_, i) => num_local_experts > 0 && !dense?.includes(i) && (i + 1) % step === 0,
    ),
  };
}

const COMMON = {
  max_position_embeddings: 32768,
  check({ num_local_experts: all, num_experts_per_tok: chosen, source }, refuse) {
    const { num_experts, num_local_experts: other } = source!;
    if (typeof num_experts === "number" && typeof other === "number" && num_experts !== other) {
      refuse("num_experts", `${num_experts}, and num_local_experts ${other}`);
    }
    if (all! > 0 && chosen! > all!) refuse("num_experts_per_tok", `${chosen} of num_experts ${all}`);
  },
  // As version 5 of transformers has them.
  mapping: spellings(...stackedExperts("mlp", "mlp", ["gate_proj", "up_proj", "down_proj"])),
  modulesPerLayer: ({ num_local_experts }) => 30 + 5 * num_local_experts!,
} satisfies Partial<FamilyDefinition>;

/** Qwen2-MoE: experts in place of the MLP, and beside them one that all tokens use, behind a gate. */
export const qwen2Moe = defineFamily({
  ...COMMON,
  types: ["qwen2_moe"],
  keys: { used: [...KEYS, "shared_expert_intermediate_size", "qkv_bias", "max_window_layers"] },
  fields: { ...FIELDS, shared_expert_intermediate_size: size.optional(), qkv_bias: z.boolean().optional() },
  /** Where windows are on, the even layers below `max_window_layers` have one. */
  window(json, source) {
    if (json.use_sliding_window !== true || source.sliding_window === null) return undefined;
    const first = Number(json.max_window_layers ?? 28);
    return {
      width: Number(json.sliding_window ?? 4096),
      slides: (layer) => layer % 2 === 0 && layer < first,
    };
  },
  complete: ({ num_hidden_layers }, json) => ({
    ...experts(json, num_hidden_layers, [60, 4, 1408]),
    shared_expert_intermediate_size: Number(json.shared_expert_intermediate_size ?? 5632),
    qkv_bias: json.qkv_bias !== false,
  }),
  layer: (config, index) =>
    config.sparse![index] ? new Qwen2MoeDecoderLayer(config, index) : decoderLayer(config, index),
});

/** Qwen3-MoE: Qwen3 with experts in place of the MLP, in all layers or some. */
export const qwen3Moe = defineFamily({
  ...COMMON,
  types: ["qwen3_moe"],
  // Windows are of all layers.
  keys: { used: [...KEYS, "num_local_experts", "attention_bias"], harmless: ["max_window_layers"] },
  fields: FIELDS,
  qk_norm: true,
  window: (json, source) =>
    json.use_sliding_window !== true || source.sliding_window === null
      ? undefined
      : { width: Number(json.sliding_window ?? 4096), slides: () => true },
  complete: ({ num_hidden_layers }, json) => experts(json, num_hidden_layers, [128, 8, 768]),
  layer: (config, index) =>
    config.sparse![index] ? new Qwen3MoeDecoderLayer(config, index) : decoderLayer(config, index),
});
