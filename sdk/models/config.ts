import * as z from "zod";
import { KernelwrightError, raise } from "../errors.ts";

/** A decoder's config.json, checked and completed. The names are those of the file. */
export interface DecoderConfig {
  /** `llama`, `qwen2`, `qwen3`, `mistral` or `mixtral`. */
  readonly model_type: string;
  /** The residual stream's width. */
  readonly hidden_size: number;
  /** The MLP's width. */
  readonly intermediate_size: number;
  /** Decoder layers. */
  readonly num_hidden_layers: number;
  /** Query heads. */
  readonly num_attention_heads: number;
  /** Key/value heads. */
  readonly num_key_value_heads: number;
  /** Elements per head. */
  readonly head_dim: number;
  /** Token ids. */
  readonly vocab_size: number;
  /** The longest sequence that the model was made for. */
  readonly max_position_embeddings: number;
  /** The norms' epsilon. */
  readonly rms_norm_eps: number;
  /** The base of the rotary frequencies. */
  readonly rope_theta: number;
  /** The MLP's activation. */
  readonly hidden_act: string;
  /** Whether all four projections of attention have biases. */
  readonly attention_bias: boolean;
  /** Whether the MLP's projections have biases. */
  readonly mlp_bias: boolean;
  /** Whether the head's weight is the embedding's. */
  readonly tie_word_embeddings: boolean;
  /** Experts of a Mixtral layer. */
  readonly num_local_experts?: number;
  /** Experts that each token uses. */
  readonly num_experts_per_tok?: number;
  /** Ids that end a text. */
  readonly eos_token_ids: readonly number[];
  /** The id that begins a text. */
  readonly bos_token_id?: number;
  /** The JSON that it was read from, for saving. */
  readonly source?: Readonly<Record<string, unknown>>;
}

/**
 * Checks a decoder's config.json.
 *
 * @param value The parsed JSON. @param file Its path, for errors.
 * @throws KW-CONFIG-VALUE naming the field, what it is and what was expected.
 */
export function parseDecoderConfig(value: unknown, file?: string): DecoderConfig {
  const parsed = Schema.safeParse(value);
  if (!parsed.success) {
    const [first, ...rest] = parsed.error.issues;
    const say = (i: z.core.$ZodIssue) => `${i.path.join(".") || "the file"}: ${i.message}`;
    throw new KernelwrightError({
      code: "KW-CONFIG-VALUE",
      what: `Cannot use config.json: ${say(first)}`,
      where: { file, json: first.path.join(".") || undefined },
      notes: rest.slice(0, 5).map(say),
    });
  }
  const c = parsed.data;
  const refuse = (field: string, what: string, fix?: string): never =>
    raise("KW-CONFIG-VALUE", `Cannot use config.json: ${field}: ${what}`, fix, { file, json: field });
  const kvHeads = c.num_key_value_heads ?? c.num_attention_heads;
  if (c.num_attention_heads % kvHeads !== 0) {
    refuse("num_key_value_heads", `${kvHeads} does not divide num_attention_heads, ${c.num_attention_heads}`);
  }
  if (c.head_dim == null && c.hidden_size % c.num_attention_heads !== 0) {
    refuse(
      "num_attention_heads",
      `${c.num_attention_heads} does not divide hidden_size, ${c.hidden_size}`,
      "Give head_dim.",
    );
  }
  const head_dim = c.head_dim ?? c.hidden_size / c.num_attention_heads;
  if (head_dim % 2 !== 0) refuse("head_dim", `${head_dim} is odd; rotary embeddings turn pairs`);
  const rope = c.rope_parameters ?? c.rope_scaling;
  const scaling = rope?.rope_type ?? rope?.type ?? "default";
  if (scaling !== "default") {
    refuse("rope_scaling", `the type ${JSON.stringify(scaling)} is not supported`, 'Only "default" is.');
  }
  if (
    c.sliding_window != null && c.use_sliding_window !== false && c.sliding_window < c.max_position_embeddings
  ) {
    refuse(
      "sliding_window",
      `${c.sliding_window} is shorter than max_position_embeddings, and windows are not supported`,
    );
  }
  const experts = c.num_local_experts;
  const chosen = c.num_experts_per_tok;
  if (c.model_type === "mixtral" && (experts === undefined || chosen === undefined || chosen > experts)) {
    refuse("num_experts_per_tok", `${chosen} of num_local_experts ${experts}`);
  }
  const eos = c.eos_token_id ?? [];
  return {
    ...c,
    num_key_value_heads: kvHeads,
    head_dim,
    rope_theta: c.rope_theta ?? c.rope_parameters?.rope_theta ?? 10000,
    eos_token_ids: typeof eos === "number" ? [eos] : eos,
    bos_token_id: c.bos_token_id ?? undefined,
    source: value as Record<string, unknown>,
  };
}

// ---------------------------------------------------------------------------

const size = z.number().int().positive().max(2 ** 31 - 1);
const positive = z.number().positive().finite();
const rope = z.object({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: positive.optional(),
}).nullish();

const Schema = z.object({
  model_type: z.enum(["llama", "mistral", "qwen2", "qwen3", "mixtral"]),
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size.max(10_000),
  num_attention_heads: size,
  num_key_value_heads: size.optional(),
  head_dim: size.nullish(),
  vocab_size: size,
  max_position_embeddings: size.default(2048),
  rms_norm_eps: positive.default(1e-6),
  rope_theta: positive.optional(),
  rope_scaling: rope,
  rope_parameters: rope,
  hidden_act: z.string().default("silu"),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(false),
  sliding_window: size.nullish(),
  use_sliding_window: z.boolean().optional(),
  num_local_experts: size.max(10_000).optional(),
  num_experts_per_tok: size.optional(),
  eos_token_id: z.union([z.number().int().nonnegative(), z.array(z.number().int().nonnegative())]).nullish(),
  bos_token_id: z.number().int().nonnegative().nullish(),
});
