import * as z from "zod";
import { type ConversionRule, WeightRenaming } from "../authoring/mod.ts";
import { KernelwrightError, raise } from "../errors.ts";
import { checkKeys, type ConfigKeys, short, withoutNulls } from "./config_keys.ts";
import type { EncoderConfig, EncoderModel } from "./encoder.ts";
import type { Family } from "./family.ts";
import { isOldBuffer } from "./old_keys.ts";

/** A family whose models give a vector for each token. */
export type EncoderFamily = Family<EncoderConfig, EncoderModel>;

/** How a family of encoders is defined. */
export interface EncoderDefinition<S extends z.ZodRawShape, C extends EncoderConfig> {
  /** The values of `model_type`. */
  readonly types: readonly string[];
  /** The keys that change no numbers, and those that are refused, besides those of every encoder. */
  readonly keys: Omit<ConfigKeys, "used">;
  /** What the file has: these keys are used. */
  readonly fields: S;
  /** Completes a config. `refuse` raises KW-CONFIG-VALUE. */
  readonly complete: (
    fields: z.infer<z.ZodObject<S>>,
    json: Readonly<Record<string, unknown>>,
    refuse: Refuse,
    file?: string,
  ) => Omit<C, "model_type" | "source" | "unknown_keys"> & { readonly unknown_keys?: readonly string[] };
  /** Builds the modules on the meta device. */
  readonly build: (config: C) => EncoderModel;
  /** What the names begin with in a checkpoint of a task's model: `bert`. */
  readonly prefix: string;
  /** Where the names of the model begin: `embeddings`, `encoder`. */
  readonly tops: readonly string[];
  /** Where the names of tasks' heads begin, which lie beside the model's. */
  readonly heads: readonly string[];
}

/** Raises KW-CONFIG-VALUE for a field. */
export type Refuse = (field: string, what: string, fix?: string) => never;

/** Defines a family of encoders. */
export function defineEncoder<S extends z.ZodRawShape, C extends EncoderConfig>(
  definition: EncoderDefinition<S, C>,
): Family<C, EncoderModel> {
  const { types, fields, keys, prefix, tops, heads } = definition;
  const allKeys = {
    used: Object.keys(fields),
    harmless: [...HARMLESS, ...keys.harmless ?? []],
    refused: { ...REFUSED, ...keys.refused },
  };
  /** The keys of heads. Of a task's model, whatever is not under the prefix is one. */
  const headsOf = (all: readonly string[]): ReadonlySet<string> => {
    const outside = all.filter((key) => !key.startsWith(`${prefix}.`));
    const isHead = (top: string) => outside.length < all.length ? !tops.includes(top) : heads.includes(top);
    return new Set(outside.filter((key) => isHead(key.split(".")[0])));
  };
  return {
    types,
    read(json, file) {
      const unknown = checkKeys(json, allKeys, file);
      const known = withoutNulls(json);
      const parsed = parse(z.object(fields), known, file);
      const refuse: Refuse = (field, what, fix) =>
        raise("KW-CONFIG-VALUE", `Cannot use config.json: ${field}: ${what}`, fix, { file, json: field });
      const made = definition.complete(parsed, known, refuse, file);
      return {
        ...made,
        model_type: String(json.model_type),
        source: json,
        unknown_keys: [...unknown, ...made.unknown_keys ?? []],
      } as unknown as C;
    },
    build: definition.build,
    mapping: (found) => {
      const all = [...found];
      const beside = headsOf(all);
      return renamings(all.filter((key) => !beside.has(key)), prefix);
    },
    fit(model, found) {
      // A task's model may do without the pooler.
      const pooler = new RegExp(`^(${prefix}\\.)?pooler\\.`);
      if ([...found].some((key) => pooler.test(key))) return;
      delete (model as { pooler?: unknown }).pooler;
    },
    beside(found) {
      const beside = headsOf([...found]);
      return (key) => isOldBuffer(key) || beside.has(key);
    },
  };
}

/** A whole number above 0. */
export const size: z.ZodNumber = z.number().int().positive().max(2 ** 31 - 1);

/** A number above 0. */
export const positive: z.ZodNumber = z.number().positive();

/** The number of layers: small enough to be built. */
export const layers: z.ZodNumber = size.max(10_000);

/** A head's size. */
export function headSize(hidden: number, heads: number, field: string, refuse: Refuse): number {
  if (hidden % heads !== 0) refuse(field, `${heads} does not divide the width, ${hidden}`);
  return hidden / heads;
}

/** Refuses an activation that is not known, under the name that the file has for it. */
export function checkActivation(
  name: string,
  field: string,
  make: (name: string) => unknown,
  refuse: Refuse,
): void {
  try {
    make(name);
  } catch (error) {
    if (!(error instanceof KernelwrightError)) throw error;
    refuse(field, `${short(name)} is not supported`, error.diagnostic.fix);
  }
}

// ---------------------------------------------------------------------------

function parse<S extends z.ZodRawShape>(
  shape: z.ZodObject<S>,
  json: Readonly<Record<string, unknown>>,
  file?: string,
): z.infer<z.ZodObject<S>> {
  const parsed = shape.safeParse(json);
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

/** The names of a task's model without their prefix, and those of norms in old files as they are now. */
function renamings(keys: Iterable<string>, prefix: string): ConversionRule[] | undefined {
  const rules: ConversionRule[] = [];
  for (const key of keys) {
    const name = (key.startsWith(`${prefix}.`) ? key.slice(prefix.length + 1) : key)
      .replace(/(^|\.)LayerNorm\.gamma$/, "$1LayerNorm.weight")
      .replace(/(^|\.)LayerNorm\.beta$/, "$1LayerNorm.bias");
    if (name !== key) rules.push(new WeightRenaming(key, name));
  }
  return rules.length > 0 ? rules : undefined;
}

/** What tasks' heads and training read. */
const HARMLESS: readonly string[] = [
  ..."bos_token_id eos_token_id tie_word_embeddings classifier_dropout output_past".split(" "),
  ..."summary_type summary_use_proj summary_activation summary_first_dropout summary_proj_to_labels".split(
    " ",
  ),
];

/** A decoder sees what came before only: that is another model. */
const REFUSED: Readonly<Record<string, readonly unknown[]>> = {
  is_decoder: [false],
  is_causal: [false],
  use_bidirectional_attention: [true],
};
