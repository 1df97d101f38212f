/**
 * generation_config.json: where a text ends, and how its author draws ids.
 *
 * Its keys are of four kinds: those that are used, those that change no id here, those that would change ids and are
 * not supported (an error of `generate` that names them, unless they say what is done anyway), and those that nobody
 * knows, which are reported once.
 */
import * as z from "zod";
import { KernelwrightError } from "../errors.ts";
import type { SampleOptions } from "../ops/mod.ts";

/** What a generation_config.json says, as far as it concerns `generate`. */
export interface GenerationConfig {
  /** Ids that end a text; undefined where the file names none. */
  readonly eos_token_ids?: readonly number[];
  /** Whether ids are drawn where the caller does not say. */
  readonly do_sample: boolean;
  /** How: only what the file says. */
  readonly sampling: Omit<SampleOptions, "seed">;
  /** What the file asks for that would change ids and is not supported: `repetition_penalty 1.1`. */
  readonly unsupported: readonly string[];
  /** Keys that are not known. */
  readonly unknown: readonly string[];
  /** Where it was read. */
  readonly file?: string;
}

/**
 * Checks a generation_config.json.
 *
 * @param value The parsed JSON. @param file Its path, for errors.
 * @throws KW-GENERATE-CONFIG naming the key, what it is and what was expected.
 */
export function parseGenerationConfig(value: unknown, file?: string): GenerationConfig {
  const parsed = Schema.safeParse(value);
  if (!parsed.success) {
    const [first] = parsed.error.issues;
    const key = first.path.join(".");
    throw new KernelwrightError({
      code: "KW-GENERATE-CONFIG",
      what: `Cannot use generation_config.json: ${key || "the file"}: ${first.message}`,
      fix: "Fix the file, or remove the key.",
      where: { file, json: key || undefined },
    });
  }
  const { eos_token_id: eos, do_sample, temperature, top_k, top_p } = parsed.data;
  const rest = Object.entries(value as Record<string, unknown>).filter(([key]) => !Object.hasOwn(USED, key));
  const changes = ([key, v]: [string, unknown]) =>
    Object.hasOwn(UNSUPPORTED, key) && v !== null && !UNSUPPORTED[key].includes(v as never) && !isEmpty(v);
  const ids = eos == null ? undefined : [eos].flat().filter((id) => id >= 0);
  return {
    eos_token_ids: ids?.length === 0 ? undefined : ids,
    do_sample: do_sample ?? false,
    sampling: {
      // 1 of temperature and top_p, and 0 of top_k, change nothing.
      ...temperature != null && { temperature },
      ...top_k != null && top_k > 0 && { topK: top_k },
      ...top_p != null && { topP: top_p },
    },
    unsupported: rest.filter(changes).map(([key, v]) => `${key} ${shown(v)}`),
    unknown: rest.map(([key]) => key).filter((key) => !Object.hasOwn(UNSUPPORTED, key) && !NEUTRAL.has(key)),
    file,
  };
}

// ---------------------------------------------------------------------------

const id = z.number().int();

const USED = {
  eos_token_id: z.union([id, z.array(id)]).nullish(),
  do_sample: z.boolean().nullish(),
  temperature: z.number().nonnegative().finite().nullish(),
  top_k: id.nonnegative().nullish(),
  top_p: z.number().positive().max(1).nullish(),
};

const Schema = z.looseObject(USED).refine((c) => !c.do_sample || c.temperature !== 0, {
  path: ["temperature"],
  message: "0 does not go with do_sample; leave do_sample away for greedy generation",
});

/** What changes ids, with the values at which it does not. `null` and empty lists never do. */
const UNSUPPORTED: Readonly<Record<string, readonly (number | boolean)[]>> = {
  repetition_penalty: [1],
  encoder_repetition_penalty: [1],
  presence_penalty: [0],
  frequency_penalty: [0],
  no_repeat_ngram_size: [0],
  encoder_no_repeat_ngram_size: [0],
  num_beams: [1],
  num_beam_groups: [1],
  diversity_penalty: [0],
  constraints: [],
  num_return_sequences: [1],
  min_length: [0],
  min_new_tokens: [0],
  min_p: [0],
  typical_p: [1],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
  top_h: [1],
  penalty_alpha: [0],
  guidance_scale: [1],
  bad_words_ids: [],
  force_words_ids: [],
  suppress_tokens: [],
  begin_suppress_tokens: [],
  forced_bos_token_id: [],
  forced_eos_token_id: [],
  forced_decoder_ids: [],
  sequence_bias: [],
  exponential_decay_length_penalty: [],
  watermarking_config: [],
  dola_layers: [],
  stop_strings: [],
  token_healing: [false],
  renormalize_logits: [false],
  remove_invalid_values: [false],
};

/** What changes no id: bookkeeping, how others run it, what `maxNewTokens` says, and what only beams look at. */
const NEUTRAL: ReadonlySet<string> = new Set([
  "_from_model_config",
  "_name_or_path",
  "transformers_version",
  "bos_token_id",
  "pad_token_id",
  "decoder_start_token_id",
  "max_length",
  "max_new_tokens",
  "max_window_size",
  "chat_format",
  "max_time",
  "length_penalty",
  "early_stopping",
  "use_cache",
  "cache_implementation",
  "cache_config",
  "prefill_chunk_size",
  "low_memory",
  "compile_config",
  "disable_compile",
  "torch_dtype",
  "dtype",
  "return_dict_in_generate",
  "return_legacy_cache",
  "output_attentions",
  "output_hidden_states",
  "output_scores",
  "output_logits",
  "is_assistant",
  "num_assistant_tokens",
  "num_assistant_tokens_schedule",
  "assistant_confidence_threshold",
  "assistant_early_exit",
  "assistant_lookbehind",
  "target_lookbehind",
  "prompt_lookup_num_tokens",
  "max_matching_ngram_size",
  "trust_remote_code",
]);

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
