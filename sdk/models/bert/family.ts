import * as z from "zod";
import { activation } from "../../nn/mod.ts";
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
import { type BertConfig, BertModel } from "./modules.ts";

/** The keys that BERT and RoBERTa read. */
export const BERT_FIELDS = {
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: layers,
  num_attention_heads: size,
  vocab_size: size,
  max_position_embeddings: size.default(512),
  type_vocab_size: size.default(2),
  layer_norm_eps: positive.default(1e-12),
  hidden_act: z.string().default("gelu"),
  pad_token_id: z.number().int().nonnegative().default(0),
};

/** Checks what the fields' own kinds do not say. */
export function checkFields(fields: z.infer<z.ZodObject<typeof BERT_FIELDS>>, refuse: Refuse): void {
  headSize(fields.hidden_size, fields.num_attention_heads, "num_attention_heads", refuse);
  checkActivation(fields.hidden_act, "hidden_act", activation, refuse);
}

/** Positions of other kinds are other models. */
export const ABSOLUTE: Readonly<Record<string, readonly unknown[]>> = {
  position_embedding_type: ["absolute"],
};

/** BERT, and what is built as it: MiniLM, BGE, E5, Arctic. */
export const bert: Family<BertConfig, EncoderModel> = defineEncoder({
  types: ["bert"],
  fields: BERT_FIELDS,
  keys: {
    harmless: [
      ..."directionality pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers".split(" "),
      ..."pooler_size_per_head pooler_type".split(" "),
    ],
    refused: ABSOLUTE,
  },
  complete: (fields, _json, refuse) => {
    checkFields(fields, refuse);
    return { ...fields, position_rows: fields.max_position_embeddings, positions_behind_padding: false };
  },
  build: (config) => new BertModel(config),
  prefix: "bert",
  tops: ["embeddings", "encoder", "pooler"],
  heads: ["cls", "classifier", "qa_outputs"],
});
