import { showValue } from "../arguments.ts";
import { raise } from "../errors.ts";

/** What a family makes of the keys of its config.json. A key in none of the lists is reported by name. */
export interface ConfigKeys {
  /** Keys that count. */
  readonly used: readonly string[];
  /** Keys that are known to change no number of a forward pass, besides those that every family has. */
  readonly harmless?: readonly string[];
  /** Keys that would change numbers and are not supported, besides those of every family, with the values that change nothing. */
  readonly refused?: Readonly<Record<string, readonly unknown[]>>;
}

/**
 * Holds a config's keys against a family's lists. A key whose value is null counts as absent.
 *
 * @returns The keys that nothing is known of.
 * @throws KW-CONFIG-VALUE for a key that would change results and is not supported.
 */
export function checkKeys(
  json: Readonly<Record<string, unknown>>,
  keys: ConfigKeys,
  file?: string,
  name = "config.json",
): string[] {
  const used = new Set(keys.used);
  const harmless = new Set([...HARMLESS, ...keys.harmless ?? []]);
  const refused = new Map([...Object.entries(REFUSED), ...Object.entries(keys.refused ?? {})]);
  const unknown: string[] = [];
  for (const [key, value] of Object.entries(json)) {
    if (value === null || used.has(key)) continue;
    if (QUANTIZATION.has(key)) refuseQuantization(key, value, file);
    // The family's own word takes precedence over the common one.
    if (keys.harmless?.includes(key)) continue;
    const neutral = refused.get(key);
    if (neutral) {
      if (!neutral.some((n) => same(n, value))) {
        raise(
          "KW-CONFIG-VALUE",
          `Cannot use ${name}: ${key}: ${short(value)} would change the results, and is not supported`,
          neutral.length > 0
            ? `Supported is ${neutral.map(short).join(" or ")}, or no such key.`
            : "Supported is null, or no such key.",
          { file, json: key },
        );
      }
    } else if (!harmless.has(key)) unknown.push(key);
  }
  return unknown;
}

/** Without the keys that are null, which count as absent. The inherited names of objects mean nothing here. */
export function withoutNulls(json: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(json).filter(([, v]) => v !== null && v !== undefined));
}

/** A value of a file, short enough for a message. */
export function short(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch {
    // No file holds what JSON cannot.
  }
  text ??= showValue(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

// ---------------------------------------------------------------------------

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function refuseQuantization(key: string, value: unknown, file?: string): never {
  const about = (typeof value === "object" ? value : {}) as Record<string, unknown>;
  const method = about.quant_method ?? about.quant_type ?? about.format ??
    (about.load_in_4bit || about.load_in_8bit
      ? "bitsandbytes"
      : about.bits
      ? `${about.bits} bits`
      : "unnamed");
  raise(
    "KW-CONFIG-VALUE",
    `Cannot use config.json: ${key}: the weights are quantised (method ${
      short(method)
    }), which is not supported`,
    "Use the checkpoint that it was made from, in f32, f16 or bf16.",
    { file, json: key },
  );
}

const QUANTIZATION = new Set(["quantization_config", "quantization", "compression_config"]);

/** Training, generation and bookkeeping. What generation does with ids is read elsewhere. */
const HARMLESS = [
  // bookkeeping
  ..."model_type architectures _name_or_path name_or_path transformers_version torch_dtype dtype".split(" "),
  ..."_commit_hash _attn_implementation attn_implementation _attn_implementation_autoset".split(" "),
  ..."_attn_implementation_internal _experts_implementation tokenizer_class prefix license".split(" "),
  ..."unsloth_version unsloth_fixed transformers.js_config task_specific_params finetuning_task".split(" "),
  ..."id2label label2id num_labels problem_type tf_legacy_loss torchscript use_bfloat16 use_cache".split(" "),
  ..."return_dict use_return_dict output_attentions output_hidden_states tie_encoder_decoder".split(" "),
  ..."chunk_size_feed_forward pretraining_tp is_llama_config gradient_checkpointing".split(" "),
  ..."_flash_attn_2_enabled use_flash_attn cross_attention_hidden_size is_decoder".split(" "),
  // training
  ..."initializer_range attention_dropout hidden_dropout resid_pdrop embd_pdrop attn_pdrop dropout".split(
    " ",
  ),
  ..."embedding_dropout residual_dropout hidden_dropout_prob attention_probs_dropout_prob".split(" "),
  ..."router_aux_loss_coef router_jitter_noise output_router_logits".split(" "),
  // ids
  ..."pad_token_id unk_token_id sep_token_id cls_token_id mask_token_id decoder_start_token_id".split(" "),
  // generation
  ..."max_length min_length max_new_tokens min_new_tokens do_sample early_stopping num_beams".split(" "),
  ..."num_beam_groups diversity_penalty temperature top_k top_p typical_p min_p repetition_penalty".split(
    " ",
  ),
  ..."length_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids".split(" "),
  ..."num_return_sequences output_scores return_dict_in_generate forced_bos_token_id".split(" "),
  ..."forced_eos_token_id remove_invalid_values exponential_decay_length_penalty suppress_tokens".split(" "),
  ..."begin_suppress_tokens".split(" "),
];

/** What other code or other families read, with the values that change nothing. */
const REFUSED: Readonly<Record<string, readonly unknown[]>> = {
  // positions
  partial_rotary_factor: [1],
  rotary_pct: [1],
  rotary_percent: [1],
  rotary_dim: [],
  rotary_emb_base: [],
  rope_interleaved: [false],
  rope_interleave: [false],
  rope_local_base_freq: [],
  rope_ratio: [1],
  use_mrope: [false],
  use_dynamic_ntk: [false],
  use_logn_attn: [false],
  no_rope_layers: [],
  no_rope_layer_interval: [],
  alibi: [false],
  position_embedding_type: ["absolute", "rope", "rotary"],
  // attention
  attention_bias: [false],
  attention_out_bias: [false],
  attention_chunk_size: [],
  attention_sinks: [false],
  attention_multiplier: [],
  attention_scale: [],
  attn_logit_softcapping: [],
  attn_output_gate: [false],
  attn_temperature_tuning: [false, 0],
  clip_qkv: [],
  cross_attention_layers: [[]],
  add_cross_attention: [false],
  is_causal: [true],
  is_encoder_decoder: [false],
  multi_query: [false],
  num_kv_shared_layers: [0],
  pruned_heads: [{}, []],
  qk_layernorm: [false],
  qk_norm: [false],
  use_qk_norm: [false],
  qkv_bias: [false],
  query_pre_attn_scalar: [],
  sliding_window: [],
  sliding_window_pattern: [],
  use_bidirectional_attention: [false],
  kv_lora_rank: [],
  q_lora_rank: [],
  v_head_dim: [],
  // layers
  bias: [false],
  use_bias: [false],
  mlp_bias: [false],
  lm_head_bias: [false],
  add_bias_linear: [false],
  hidden_activation: [],
  activation_function: [],
  layer_norm_eps: [],
  layer_norm_epsilon: [],
  norm_eps: [],
  layernorm_epsilon: [],
  norm_bias: [false],
  parallel_attn: [false],
  use_parallel_residual: [false],
  swiglu_limit: [],
  // scales
  embedding_multiplier: [1],
  residual_multiplier: [1],
  logits_scaling: [1],
  logit_scale: [1],
  final_logit_softcapping: [],
  scale_embeddings: [false],
  scale_depth: [],
  scale_emb: [1],
  dim_model_base: [],
  // experts
  num_experts: [0],
  num_local_experts: [0],
  num_experts_per_tok: [0],
  n_routed_experts: [0],
  n_shared_experts: [0],
  moe_intermediate_size: [],
  shared_expert_intermediate_size: [0],
  decoder_sparse_step: [],
  mlp_only_layers: [],
  first_k_dense_replace: [],
  norm_topk_prob: [],
};
