import * as z from "zod";
import { checkFields } from "../../arguments.ts";
import { KernelwrightError, raise } from "../../errors.ts";
import { activation } from "../../nn/mod.ts";
import type { PretrainedConfig } from "../config.ts";
import { checkKeys, type ConfigKeys, short, withoutNulls } from "../config_keys.ts";

/** Rows and columns. */
export type ImageSize = readonly [rows: number, columns: number];

/** A vision model's config.json, checked and completed. The names are those of the file. */
export interface VisionConfig extends PretrainedConfig {
  /** The residual stream's width. */
  readonly hidden_size: number;
  /** The MLP's width. */
  readonly intermediate_size: number;
  /** Layers. */
  readonly num_hidden_layers: number;
  /** Heads; divides `hidden_size`. */
  readonly num_attention_heads: number;
  /** Channels of an image. */
  readonly num_channels: number;
  /** The size of the images that the model takes. */
  readonly image_size: ImageSize;
  /** The size of a patch. */
  readonly patch_size: ImageSize;
  /** The MLP's activation. */
  readonly hidden_act: string;
  /** The norms' epsilon. */
  readonly layer_norm_eps: number;
  /** Whether q, k and v have biases. */
  readonly qkv_bias: boolean;
  /** The pooler's width (ViT). */
  readonly pooler_output_size: number;
  /** The pooler's activation (ViT). */
  readonly pooler_act: string;
  /** Whether a head of attention pools the patches (SigLIP). */
  readonly vision_use_head: boolean;
  /** The names of a classifier's outputs, in order. */
  readonly labels: readonly string[];
  /** Whether an image may have several labels: probabilities are then each their own, by a sigmoid. */
  readonly multi_label: boolean;
}

/** What a family of vision models says of its config.json. */
export interface VisionTraits {
  /** What the keys mean. */
  readonly keys: ConfigKeys;
  /** The values of keys that are absent. */
  readonly defaults: Partial<VisionConfig> & { readonly hidden_act: string; readonly layer_norm_eps: number };
  /** Whether images and patches may be other than square. */
  readonly pairs: boolean;
}

/** The keys that say what a classifier's outputs mean. */
export const LABEL_KEYS: readonly string[] = ["id2label", "num_labels", "problem_type"];

/** The keys that every vision model reads. */
export const VISION_KEYS: readonly string[] = [
  ..."hidden_size intermediate_size num_hidden_layers num_attention_heads num_channels".split(" "),
  ..."image_size patch_size hidden_act layer_norm_eps".split(" "),
];

/**
 * Checks a vision model's keys, and completes them.
 *
 * @param json The keys of the model; those that are null count as absent.
 * @param labels Where the classifier's labels are named.
 * @throws KW-CONFIG-VALUE naming the field, what it is and what was expected.
 */
export function readVision(
  json: Readonly<Record<string, unknown>>,
  labels: Readonly<Record<string, unknown>>,
  { keys, defaults, pairs }: VisionTraits,
  file?: string,
): VisionConfig {
  const unknown = checkKeys(json, keys, file);
  const c = parse(shape, json, file);
  const refuse = (field: string, what: string, fix?: string): never =>
    raise("KW-CONFIG-VALUE", `Cannot use config.json: ${field}: ${what}`, fix, { file, json: field });
  const pair = (field: string, value: number | readonly number[]): ImageSize => {
    if (typeof value === "number") return [value, value];
    if (!pairs) refuse(field, `${short(value)} is not one number`, "Images and patches are square.");
    return value as unknown as ImageSize;
  };
  const [image, patch] = [pair("image_size", c.image_size), pair("patch_size", c.patch_size)];
  if (patch.some((n, d) => n > image[d])) {
    refuse("patch_size", `${short(patch)} does not fit into image_size ${short(image)}`);
  }
  if (c.hidden_size % c.num_attention_heads !== 0) {
    refuse("num_attention_heads", `${c.num_attention_heads} does not divide hidden_size, ${c.hidden_size}`);
  }
  const config = {
    qkv_bias: true,
    vision_use_head: true,
    pooler_act: "tanh",
    ...defaults,
    ...c,
    image_size: image,
    patch_size: patch,
    pooler_output_size: c.pooler_output_size || c.hidden_size,
  };
  for (const field of ["hidden_act", "pooler_act"] as const) {
    try {
      activation(config[field]);
    } catch (cause) {
      if (!(cause instanceof KernelwrightError)) throw cause;
      refuse(field, `${short(config[field])} is not an activation that is known`, cause.diagnostic.fix);
    }
  }
  return { ...config, ...readLabels(labels, file), unknown_keys: unknown } as VisionConfig;
}

/** Checks what a module is built from. @throws KW-ARGUMENT */
export function checkVisionConfig(cls: string, config: VisionConfig): void {
  checkFields(`new ${cls}(): config`, config, {
    hidden_size: "a count",
    intermediate_size: "a count",
    num_hidden_layers: "a count",
    num_attention_heads: "a count",
    num_channels: "a count",
    image_size: "numbers in an array",
    patch_size: "numbers in an array",
    layer_norm_eps: "a number",
    hidden_act: "a string",
    labels: "an array",
  });
}

/** Parses what is not null. @throws KW-CONFIG-VALUE naming the field */
export function parse<S extends z.ZodRawShape>(
  shape: S,
  json: Readonly<Record<string, unknown>>,
  file?: string,
  name = "config.json",
): z.infer<z.ZodObject<S>> {
  const parsed = z.object(shape).safeParse(withoutNulls(json));
  if (parsed.success) return parsed.data;
  const [first, ...rest] = parsed.error.issues;
  const say = (i: z.core.$ZodIssue) => `${i.path.join(".") || "the file"}: ${i.message}`;
  throw new KernelwrightError({
    code: "KW-CONFIG-VALUE",
    what: `Cannot use ${name}: ${say(first)}`,
    where: { file, json: first.path.join(".") || undefined },
    notes: rest.slice(0, 5).map(say),
  });
}

// ---------------------------------------------------------------------------

const size = z.number().int().positive().max(2 ** 31 - 1);
const side = size.max(65_536);
const sides = z.union([side, z.tuple([side, side])]);

// The defaults that published code has for both families.
const shape = {
  model_type: z.string().optional(),
  hidden_size: size.default(768),
  intermediate_size: size.default(3072),
  num_hidden_layers: size.max(10_000).default(12),
  num_attention_heads: size.default(12),
  num_channels: size.max(1024).default(3),
  image_size: sides.default(224),
  patch_size: sides.default(16),
  hidden_act: z.string().optional(),
  layer_norm_eps: z.number().nonnegative().finite().optional(),
  qkv_bias: z.boolean().optional(),
  pooler_output_size: size.or(z.literal(0)).optional(),
  pooler_act: z.string().optional(),
  vision_use_head: z.boolean().optional(),
};

const labelShape = {
  id2label: z.record(z.string(), z.string()).optional(),
  num_labels: z.number().int().nonnegative().max(10_000_000).optional(),
  problem_type: z.enum(["single_label_classification", "multi_label_classification", "regression"])
    .optional(),
};

/** The names of `id2label`, which takes precedence over `num_labels`; two labels where there is neither, as published code has it. */
function readLabels(json: Readonly<Record<string, unknown>>, file?: string) {
  const { id2label, num_labels = 2, problem_type } = parse(labelShape, json, file);
  const refuse = (field: string, what: string): never =>
    raise("KW-CONFIG-VALUE", `Cannot use config.json: ${field}: ${what}`, undefined, { file, json: field });
  if (problem_type === "regression") refuse("problem_type", '"regression" gives no labels');
  const labels = id2label
    ? Object.keys(id2label).map((_, i) =>
      id2label[i] ?? refuse("id2label", `there are ${Object.keys(id2label).length} labels, and none for ${i}`)
    )
    : Array.from({ length: num_labels }, (_, i) => `LABEL_${i}`);
  if (labels.length === 0) refuse(id2label ? "id2label" : "num_labels", "there are no labels");
  // One output alone cannot be compared with others.
  return { labels, multi_label: problem_type === "multi_label_classification" || labels.length === 1 };
}
