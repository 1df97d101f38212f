import * as z from "zod";
import { defineFamily } from "../family.ts";
import { type GraniteConfig, GraniteLM } from "./modules.ts";

const multiplier = z.number().default(1);

/** Granite: Llama with multipliers of embeddings, scores, residuals and logits. */
export const granite = defineFamily<GraniteConfig>({
  types: ["granite"],
  keys: {
    used: [
      ..."attention_bias mlp_bias embedding_multiplier attention_multiplier".split(" "),
      ..."residual_multiplier logits_scaling".split(" "),
    ],
  },
  fields: {
    embedding_multiplier: multiplier,
    attention_multiplier: multiplier,
    residual_multiplier: multiplier,
    logits_scaling: multiplier,
  },
  check({ logits_scaling }, refuse) {
    if (logits_scaling === 0) refuse("logits_scaling", "logits cannot be divided by 0");
  },
  build: (config) => new GraniteLM(config),
});
