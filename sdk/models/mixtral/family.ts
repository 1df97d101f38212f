import * as z from "zod";
import { defineFamily } from "../family.ts";
import { WeightRenaming } from "../../authoring/mod.ts";
import { spellings, stackedExperts } from "../other_names.ts";
import { MixtralDecoderLayer } from "./modules.ts";

const count = z.number().int().positive();

/** Mixtral: a mixture of experts in place of the MLP. */
export const mixtral = defineFamily({
  types: ["mixtral"],
  keys: {
    used: ["num_local_experts", "num_experts_per_tok", "sliding_window"],
    // The chosen experts' weights are always divided by their sum.
    refused: { norm_topk_prob: [true] },
  },
  fields: { num_local_experts: count.max(10_000).optional(), num_experts_per_tok: count.optional() },
  rope_theta: 1e6,
  rms_norm_eps: 1e-5,
  window: ({ sliding_window }) =>
    sliding_window === undefined ? undefined : { width: Number(sliding_window), slides: () => true },
  check({ num_local_experts: experts, num_experts_per_tok: chosen }, refuse) {
    if (experts === undefined || chosen === undefined || chosen > experts) {
      refuse("num_experts_per_tok", `${chosen} of num_local_experts ${experts}`);
    }
  },
  // As version 5 of transformers has them.
  mapping: spellings(
    ...stackedExperts("mlp", "block_sparse_moe", ["w1", "w3", "w2"]),
    ...stackedExperts("block_sparse_moe", "block_sparse_moe", ["w1", "w3", "w2"]),
    {
      end: ".mlp.gate.weight",
      rules: [
        new WeightRenaming("model.layers.*.mlp.gate.weight", "model.layers.*.block_sparse_moe.gate.weight"),
      ],
    },
  ),
  modulesPerLayer: ({ num_local_experts }) => 20 + 5 * num_local_experts!,
  layer: (config, index) => new MixtralDecoderLayer(config, index),
});
