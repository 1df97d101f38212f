import { ABSOLUTE, BERT_FIELDS, checkFields } from "../bert/family.ts";
import { type BertConfig, BertModel } from "../bert/modules.ts";
import type { EncoderModel } from "../encoder.ts";
import { defineEncoder, positive } from "../encoder_family.ts";
import type { Family } from "../family.ts";

/** RoBERTa and XLM-RoBERTa: BERT whose positions are counted over what is not padding, from behind the padding id. */
export const roberta: Family<BertConfig, EncoderModel> = defineEncoder({
  types: ["roberta", "xlm-roberta"],
  fields: {
    ...BERT_FIELDS,
    layer_norm_eps: positive.default(1e-12),
    pad_token_id: BERT_FIELDS.pad_token_id.unwrap().default(1),
  },
  keys: { refused: ABSOLUTE },
  complete: (fields, _json, refuse) => {
    checkFields(fields, refuse);
    const { max_position_embeddings: rows, pad_token_id } = fields;
    const positions = rows - pad_token_id - 1;
    if (positions < 1) {
      refuse(
        "max_position_embeddings",
        `${rows} rows leave no position behind pad_token_id, ${pad_token_id}`,
      );
    }
    return {
      ...fields,
      max_position_embeddings: positions,
      position_rows: rows,
      positions_behind_padding: true,
    };
  },
  build: (config) => new BertModel(config),
  prefix: "roberta",
  tops: ["embeddings", "encoder", "pooler"],
  heads: ["lm_head", "classifier", "qa_outputs"],
});
