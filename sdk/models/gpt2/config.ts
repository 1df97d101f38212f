import * as z from "zod";
import { raise } from "../../errors.ts";
import { ACTIVATION_NAMES } from "../../nn/mod.ts";
import { type CausalLMConfig, ids, positive, readFields, readIds, size } from "../config.ts";
import { checkKeys, short, withoutNulls } from "../config_keys.ts";

/** GPT-2's config.json, checked and completed. */
export interface GPT2Config extends CausalLMConfig {
  /** The MLP's width. */
  readonly n_inner: number;
  /** The MLP's activation. */
  readonly activation_function: string;
  /** The norms' epsilon. */
  readonly layer_norm_epsilon: number;
  /** Whether scores are divided by the root of a head's size. */
  readonly scale_attn_weights: boolean;
  /** Whether scores of layer `i` are divided by `i + 1` as well. */
  readonly scale_attn_by_inverse_layer_idx: boolean;
}

/**
 * Checks a GPT-2's config.json, and completes it. A key that is null counts as absent.
 *
 * @throws KW-CONFIG-VALUE naming the field, what it is and what was expected.
 */
export function readGPT2Config(source: Readonly<Record<string, unknown>>, file?: string): GPT2Config {
  const refuse = (field: string, what: string): never =>
    raise("KW-CONFIG-VALUE", `Cannot use config.json: ${field}: ${what}`, undefined, { file, json: field });
  const unknown_keys = checkKeys(source, KEYS, file);
  const json = withoutNulls(source);
  for (const [other, name] of Object.entries(OTHER_NAMES)) {
    if (json[other] === undefined) continue;
    json[name] ??= json[other];
    if (json[name] !== json[other]) refuse(other, `${json[other]}, and ${name} ${json[name]}`);
  }
  const c = readFields(json, FIELDS, file);
  if (c.n_embd % c.n_head !== 0) refuse("n_head", `${c.n_head} does not divide n_embd, ${c.n_embd}`);
  if (!ACTIVATION_NAMES.includes(c.activation_function)) {
    refuse(
      "activation_function",
      `${short(c.activation_function)} is not one of ${ACTIVATION_NAMES.join(", ")}`,
    );
  }
  return {
    model_type: c.model_type,
    vocab_size: c.vocab_size,
    hidden_size: c.n_embd,
    num_hidden_layers: c.n_layer,
    num_attention_heads: c.n_head,
    num_key_value_heads: c.n_head,
    head_dim: c.n_embd / c.n_head,
    max_position_embeddings: c.n_positions,
    n_inner: c.n_inner ?? 4 * c.n_embd,
    activation_function: c.activation_function,
    layer_norm_epsilon: c.layer_norm_epsilon,
    scale_attn_weights: c.scale_attn_weights,
    scale_attn_by_inverse_layer_idx: c.scale_attn_by_inverse_layer_idx,
    tie_word_embeddings: c.tie_word_embeddings,
    ...readIds(c.eos_token_id, c.bos_token_id),
    source,
    unknown_keys,
  };
}

// ---------------------------------------------------------------------------

const FIELDS = {
  model_type: z.string(),
  vocab_size: size,
  n_embd: size,
  n_layer: size.max(10_000),
  n_head: size,
  n_positions: size.default(1024),
  n_inner: size.optional(),
  activation_function: z.string().default("gelu_new"),
  layer_norm_epsilon: positive.default(1e-5),
  scale_attn_weights: z.boolean().default(true),
  scale_attn_by_inverse_layer_idx: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(true),
  eos_token_id: ids.optional(),
  bos_token_id: ids.optional(),
};

/** Names that other families have, and that count here too. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  hidden_size: "n_embd",
  num_hidden_layers: "n_layer",
  num_attention_heads: "n_head",
  max_position_embeddings: "n_positions",
};

const KEYS = {
  used: [...Object.keys(FIELDS), ...Object.keys(OTHER_NAMES)],
  harmless: [
    ..."n_ctx summary_type summary_use_proj summary_activation summary_first_dropout".split(" "),
    // How precisely f16 is computed, not what.
    ..."summary_proj_to_labels reorder_and_upcast_attn".split(" "),
  ],
};
