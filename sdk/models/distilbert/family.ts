import * as z from "zod";
import { activation } from "../../nn/mod.ts";
import type { EncoderModel } from "../encoder.ts";
import { checkActivation, defineEncoder, headSize, layers, size } from "../encoder_family.ts";
import type { Family } from "../family.ts";
import { type DistilBertConfig, DistilBertModel } from "./modules.ts";

/** What Hugging Face's code takes for these keys too, and before them. */
const OTHER_NAMES = {
  hidden_size: "dim",
  num_attention_heads: "n_heads",
  num_hidden_layers: "n_layers",
} as const;

/** DistilBERT. */
export const distilbert: Family<DistilBertConfig, EncoderModel> = defineEncoder({
  types: ["distilbert"],
  fields: {
    dim: size,
    hidden_dim: size,
    n_layers: layers,
    n_heads: size,
    vocab_size: size,
    max_position_embeddings: size.default(512),
    activation: z.string().default("gelu"),
    hidden_size: size.optional(),
    num_attention_heads: size.optional(),
    num_hidden_layers: size.optional(),
  },
  keys: {
    harmless: [
      // Sines would only be where training begins: the table is in the file.
      ..."sinusoidal_pos_embds qa_dropout seq_classif_dropout tie_weights_".split(" "),
    ],
    refused: { position_embedding_type: ["absolute"], layer_norm_eps: [1e-12], type_vocab_size: [] },
  },
  complete: (fields, json, refuse) => {
    for (const [other, own] of Object.entries(OTHER_NAMES)) {
      if (json[other] !== undefined && json[other] !== json[own]) {
        refuse(other, `${json[other]} differs from ${own}, ${json[own]}`, `Keep ${own} alone.`);
      }
    }
    checkActivation(fields.activation, "activation", activation, refuse);
    headSize(fields.dim, fields.n_heads, "n_heads", refuse);
    return { ...fields, hidden_size: fields.dim, pad_token_id: Number(json.pad_token_id ?? 0) };
  },
  build: (config) => new DistilBertModel(config),
  prefix: "distilbert",
  tops: ["embeddings", "transformer"],
  heads: [
    "vocab_transform",
    "vocab_layer_norm",
    "vocab_projector",
    "pre_classifier",
    "classifier",
    "qa_outputs",
  ],
});
