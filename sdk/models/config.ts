import * as z from "zod";
import { KernelwrightError, raise } from "../errors.ts";
import type { Rope } from "../nn/mod.ts";
import { short, withoutNulls } from "./config_keys.ts";
import { readRope, readRopesByKind, type RopeDefaults } from "./rope_config.ts";

/** What the config of every pretrained model has. */
export interface PretrainedConfig {
  /** The family's name in the file. */
  readonly model_type: string;
  /** The longest sequence that the model was made for; undefined where inputs have one size. */
  readonly max_position_embeddings?: number;
  /** The JSON that it was read from, for saving. */
  readonly source?: Readonly<Record<string, unknown>>;
  /** Keys of the file that nothing is known of: whether they would change results is not known either. */
  readonly unknown_keys?: readonly string[];
}

/** What the config of every model has that gives logits for the next token. */
export interface CausalLMConfig extends PretrainedConfig {
  /** The longest sequence that the model was made for. */
  readonly max_position_embeddings: number;
  /** The residual stream's width. */
  readonly hidden_size: number;
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
  /** How positions turn the heads, where they do. */
  readonly rope?: Rope;
  /** The length after which a text that grows past it is computed again from its first token. */
  readonly restart_after?: number;
  /** For each layer, how many positions a token sees, where that is a window. */
  readonly windows?: readonly (number | undefined)[];
  /** Whether the head's weight is the embedding's. */
  readonly tie_word_embeddings: boolean;
  /** Ids that end a text. */
  readonly eos_token_ids: readonly number[];
  /** The id that begins a text. */
  readonly bos_token_id?: number;
}

/** A decoder's config.json, checked and completed. The names are those of the file. */
export interface DecoderConfig extends CausalLMConfig {
  /** The MLP's width. */
  readonly intermediate_size: number;
  /** The norms' epsilon. */
  readonly rms_norm_eps: number;
  /** How positions turn the heads. */
  readonly rope: Rope;
  /** For each layer, whether positions turn its heads, where some do not. */
  readonly turns?: readonly boolean[];
  /** How positions turn the heads of each layer, where layers differ. */
  readonly ropes?: readonly Rope[];
  /** The MLP's activation. */
  readonly hidden_act: string;
  /** Whether all four projections of attention have biases. */
  readonly attention_bias: boolean;
  /** Whether q, k and v have biases though o has none. */
  readonly qkv_bias: boolean;
  /** Whether q and k are normalised head by head. */
  readonly qk_norm: boolean;
  /** Whether the MLP's projections have biases. */
  readonly mlp_bias: boolean;
  /** Experts of a layer, in a mixture of experts. */
  readonly num_local_experts?: number;
  /** Experts that each token uses. */
  readonly num_experts_per_tok?: number;
  /** An expert's width, where it is not the MLP's. */
  readonly moe_intermediate_size?: number;
  /** The width of the expert that all tokens use, where there is one. */
  readonly shared_expert_intermediate_size?: number;
  /** Whether the chosen experts' weights are divided by their sum, where that may be. */
  readonly norm_topk_prob?: boolean;
  /** For each layer, whether it has experts, where some have not. */
  readonly sparse?: readonly boolean[];
}

/** What a family of decoders says of itself. */
export interface DecoderTraits {
  /** The base of the rotary frequencies where the file has none. */
  readonly rope_theta?: number;
  /** What else its rotary settings have of their own. */
  readonly rope?: Pick<RopeDefaults, "original" | "kinds">;
  /** `max_position_embeddings` where the file has none. */
  readonly max_position_embeddings?: number;
  /** Whether the head is tied where the file says nothing. */
  readonly tie_word_embeddings?: boolean;
  /** The norms' epsilon where the file has none. */
  readonly rms_norm_eps?: number;
  /** Whether q, k and v have biases though o has none. */
  readonly qkv_bias?: boolean;
  /** Whether q and k are normalised head by head. */
  readonly qk_norm?: boolean;
  /** How wide windows are, and which layers have one unless `layer_types` says so; undefined where none has. Keys are without nulls. */
  readonly window?: (json: Readonly<Record<string, unknown>>, source: Readonly<Record<string, unknown>>) =>
    | { readonly width: number; readonly slides: (layer: number) => boolean }
    | undefined;
  /** Whether a part of each head may stay as it is: `partial_rotary_factor`. */
  readonly partialRotary?: boolean;
  /** The windowed layers' rotary base, by the key of the file, where they have settings of their own. */
  readonly localTheta?: { readonly key: string; readonly otherwise: number };
  /** Adds what the file leaves out, and puts what it calls otherwise under the usual name. Keys are without nulls. */
  readonly defaults?: (
    json: Readonly<Record<string, unknown>>,
    source: Readonly<Record<string, unknown>>,
  ) => Readonly<Record<string, unknown>>;
  /** What the file may have besides. */
  readonly fields?: z.ZodRawShape;
}

/** The keys that every decoder reads. */
export const DECODER_KEYS: readonly string[] = [
  ..."hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim".split(
    " ",
  ),
  ..."vocab_size max_position_embeddings rms_norm_eps rope_theta rope_scaling rope_parameters".split(" "),
  ..."original_max_position_embeddings hidden_act tie_word_embeddings layer_types".split(" "),
  ..."eos_token_id bos_token_id".split(" "),
];

/**
 * Checks what all decoders have in config.json, and completes it. A key that is null counts as absent.
 *
 * @throws KW-CONFIG-VALUE naming the field, what it is and what was expected.
 */
export function readDecoder(
  source: Readonly<Record<string, unknown>>,
  traits: DecoderTraits,
  file?: string,
): DecoderConfig {
  const given = withoutNulls(source);
  const json = { ...traits.defaults?.(given, source) ?? given };
  json.max_position_embeddings ??= traits.max_position_embeddings ?? 2048;
  json.tie_word_embeddings ??= traits.tie_word_embeddings ?? false;
  const { layer_types, eos_token_id, bos_token_id, rms_norm_eps, ...c } = readFields(
    json,
    { ...shape, ...traits.fields },
    file,
  ) as z.infer<z.ZodObject<typeof shape>> & Record<string, unknown>;
  const refuse = (field: string, what: string, fix?: string): never =>
    raise("KW-CONFIG-VALUE", `Cannot use config.json: ${field}: ${what}`, fix, { file, json: field });
  const kvHeads = c.num_key_value_heads ?? c.num_attention_heads;
  if (c.num_attention_heads % kvHeads !== 0) {
    refuse("num_key_value_heads", `${kvHeads} does not divide num_attention_heads, ${c.num_attention_heads}`);
  }
  if (c.head_dim === undefined && c.hidden_size % c.num_attention_heads !== 0) {
    refuse(
      "num_attention_heads",
      `${c.num_attention_heads} does not divide hidden_size, ${c.hidden_size}`,
      "Give head_dim.",
    );
  }
  const head_dim = c.head_dim ?? c.hidden_size / c.num_attention_heads;
  if (head_dim % 2 !== 0) refuse("head_dim", `${head_dim} is odd; rotary embeddings turn pairs`);
  const defaults = {
    headDim: head_dim,
    theta: traits.rope_theta ?? 10000,
    positions: c.max_position_embeddings,
    partial: traits.partialRotary ?? false,
    ...traits.rope,
  };
  const { full, sliding } = traits.localTheta
    ? readRopesByKind(json, defaults, traits.localTheta, file)
    : { full: readRope(json, defaults, file) };
  const { rope } = full;
  // A head of other sizes would be refused by the operators; here before lists of its size are made.
  if (head_dim > MOST_HEAD_DIM && (rope.scaling || sliding?.rope.scaling)) {
    refuse("head_dim", `${head_dim} is more than ${MOST_HEAD_DIM}`);
  }
  const slides = readSlides();
  return {
    ...c,
    num_key_value_heads: kvHeads,
    head_dim,
    rms_norm_eps: rms_norm_eps ?? traits.rms_norm_eps ?? 1e-6,
    rope,
    ropes: sliding && slides.map((s) => s ? sliding.rope : rope),
    windows: readWindows(),
    attention_bias: c.attention_bias === true,
    mlp_bias: c.mlp_bias === true,
    qkv_bias: traits.qkv_bias ?? false,
    qk_norm: traits.qk_norm ?? false,
    ...readIds(eos_token_id, bos_token_id),
    source,
    unknown_keys: [...full.unknown, ...sliding?.unknown ?? []],
  } as DecoderConfig;

  function readSlides(): boolean[] {
    const other = layer_types?.find((t) => !LAYER_TYPES.includes(t));
    if (other !== undefined) {
      refuse("layer_types", `${short(other)} is not supported`, `Supported: ${LAYER_TYPES.join(", ")}.`);
    }
    if (layer_types && layer_types.length !== c.num_hidden_layers) {
      refuse("layer_types", `${layer_types.length} of them for num_hidden_layers ${c.num_hidden_layers}`);
    }
    const { slides = () => false } = traits.window?.(json, source) ?? {};
    return Array.from(
      { length: c.num_hidden_layers },
      (_, i) => layer_types ? layer_types[i] === "sliding_attention" : slides(i),
    );
  }

  function readWindows(): DecoderConfig["windows"] {
    const window = traits.window?.(json, source);
    if (!window && layer_types?.includes("sliding_attention")) {
      refuse("layer_types", '"sliding_attention" without a window', "Give sliding_window.");
    }
    // A window that no text is longer than is none.
    if (!window || window.width >= c.max_position_embeddings || !slides.includes(true)) return undefined;
    return slides.map((slides) => slides ? window.width : undefined);
  }
}

/**
 * Checks fields of a config.json.
 *
 * @throws KW-CONFIG-VALUE naming the field, what it is and what was expected.
 */
export function readFields<S extends z.ZodRawShape>(
  json: Readonly<Record<string, unknown>>,
  fields: S,
  file?: string,
): z.infer<z.ZodObject<S>> {
  const parsed = z.object(fields).safeParse(json);
  if (parsed.success) return parsed.data;
  const [first, ...rest] = parsed.error.issues;
  const say = (i: z.core.$ZodIssue) => `${i.path.join(".") || "the file"}: ${i.message}`;
  throw new KernelwrightError({
    code: "KW-CONFIG-VALUE",
    what: `Cannot use config.json: ${say(first)}`,
    where: { file, json: first.path.join(".") || undefined },
    notes: rest.slice(0, 5).map(say),
  });
}

/** The ids that end and begin a text, out of what the file has for them. */
export function readIds(
  eos: number | readonly number[] | undefined,
  bos: number | readonly number[] | undefined,
): Pick<CausalLMConfig, "eos_token_ids" | "bos_token_id"> {
  const ids = (value: typeof eos) => [value ?? []].flat().filter((id) => id >= 0);
  return { eos_token_ids: ids(eos), bos_token_id: ids(bos).at(0) };
}

/** A size of a model in config.json. */
export const size: z.ZodNumber = z.number().int().positive().max(2 ** 31 - 1);
/** A number above zero in config.json. */
export const positive: z.ZodNumber = z.number().positive();
/** One id in config.json, or several; -1 is none. */
export const ids: z.ZodType<number | number[]> = z.union([
  z.number().int().min(-1),
  z.array(z.number().int().min(-1)),
]);

// ---------------------------------------------------------------------------

const MOST_HEAD_DIM = 65_536;
const LAYER_TYPES = ["full_attention", "sliding_attention"];

const shape = {
  model_type: z.string(),
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size.max(10_000),
  num_attention_heads: size,
  num_key_value_heads: size.optional(),
  head_dim: size.optional(),
  vocab_size: size,
  max_position_embeddings: size,
  rms_norm_eps: positive.optional(),
  hidden_act: z.string().default("silu"),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  tie_word_embeddings: z.boolean(),
  sliding_window: size.optional(),
  use_sliding_window: z.boolean().optional(),
  max_window_layers: z.number().int().nonnegative().optional(),
  layer_types: z.array(z.string()).optional(),
  eos_token_id: ids.optional(),
  bos_token_id: ids.optional(),
};
