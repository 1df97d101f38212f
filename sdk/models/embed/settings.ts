/** What a sentence-transformers folder says of how texts become vectors. What it says and is not known here is refused. */
import * as z from "zod";
import { type Folder, type FolderLocation, openFolder, readText } from "../../checkpoint/mod.ts";
import { raise } from "../../errors.ts";
import { joinFile, messageOf } from "../../host/mod.ts";
import { short, withoutNulls } from "../config_keys.ts";
import { isInside } from "../other_files.ts";
import { type Pooling, POOLINGS } from "./pooling.ts";

/** How texts become vectors. */
export interface EmbeddingSettings {
  /** How the vectors of tokens become one; several are put behind each other. */
  readonly pooling: readonly Pooling[];
  /** Whether vectors are divided by their length. */
  readonly normalize: boolean;
  /** The most tokens of a text, special ones too; a longer text is cut. Undefined where the model's positions say so. */
  readonly maxLength?: number;
  /** Whether texts are made lower case first. */
  readonly lowerCase: boolean;
  /** What may be put before a text, by name. */
  readonly prompts: Readonly<Record<string, string>>;
  /** The name of the prompt that is used where the caller names none. */
  readonly defaultPrompt?: string;
  /** Whether the tokens of a prompt are pooled too. */
  readonly includePrompt: boolean;
  /** Where the model lies in the folder; empty for the folder itself. */
  readonly path: string;
  /** The width that the folder says. */
  readonly width?: number;
}

/**
 * Reads how a folder's texts become vectors.
 *
 * @returns Undefined where the folder has no modules.json.
 * @throws KW-EMBED-CONFIG for modules other than Transformer, Pooling and Normalize, and for keys that are not known.
 *
 * @example
 * ```ts
 * import { POOLINGS, readEmbeddingSettings } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * const settings = await readEmbeddingSettings("./sentences");
 * assertEquals([settings?.pooling, settings?.normalize], [["mean"], true]);
 * assertEquals(POOLINGS.includes("mean"), true); // what there is besides
 * ```
 */
export async function readEmbeddingSettings(dir: FolderLocation): Promise<EmbeddingSettings | undefined> {
  const folder = openFolder(dir, { allowLinks: true });
  const modules = await readModules(folder);
  if (!modules) return undefined;
  const [transformer, pooling, ...rest] = modules;
  for (const { path } of rest) {
    if (path === "") continue;
    const file = await readFile(folder, `${path}/config.json`, z.record(z.string(), z.unknown()));
    const [key] = Object.keys(file ?? {});
    if (key !== undefined) refuse(folder, `${path}/config.json`, `${short(key)} is not known`, key);
  }
  return {
    ...await readPooling(folder, pooling.path),
    ...await readTransformer(folder, transformer.path),
    ...await readPrompts(folder),
    normalize: rest.length > 0,
    path: transformer.path,
  };
}

/** The folder inside another one. */
export function insideFolder(folder: Folder, path: string): Folder {
  if (path === "") return folder;
  return {
    name: joinFile(folder.name, path),
    open: (name) => folder.open(`${path}/${name}`),
    ...folder.urlOf && { urlOf: (name: string) => folder.urlOf!(`${path}/${name}`) },
  };
}

// ---------------------------------------------------------------------------

const NAMES = ["Transformer", "Pooling", "Normalize"] as const;

async function readModules(folder: Folder): Promise<{ name: string; path: string }[] | undefined> {
  const file = "modules.json";
  const entry = z.object({
    type: z.string(),
    path: z.string(),
    name: z.unknown().optional(),
    idx: z.unknown().optional(),
    kwargs: z.array(z.unknown()).max(0, "is not supported").optional(),
  });
  const list = await readFile(folder, file, z.array(entry));
  if (!list) return undefined;
  const found = list.map(({ type, path }, i) => {
    const name = NAMES.find((n) => type.startsWith("sentence_transformers.") && type.endsWith(`.${n}`));
    if (!name) {
      refuse(folder, file, `the module ${short(type)} is not supported`, `[${i}].type`, ONLY);
    }
    // A path leads nowhere but into the folder.
    if (path !== "" && !isInside(path)) {
      refuse(folder, file, `the path ${short(path)} is not a folder inside`, `[${i}].path`);
    }
    return { name: name!, path };
  });
  const order = found.map((m) => m.name).join(", ");
  if (!/^Transformer, Pooling(, Normalize)*$/.test(order)) {
    refuse(folder, file, `the modules ${order || "of an empty list"} are not supported`, undefined, ONLY);
  }
  return found;
}

const ONLY = "Supported: Transformer, Pooling, and Normalize where vectors are divided by their length.";

async function readPooling(
  folder: Folder,
  path: string,
): Promise<Pick<EmbeddingSettings, "pooling" | "includePrompt" | "width">> {
  const file = `${path}/config.json`;
  const flag = z.boolean().optional();
  const shape = z.strictObject({
    word_embedding_dimension: z.number().optional(),
    embedding_dimension: z.number().optional(),
    pooling_mode: z.union([z.string(), z.array(z.string())]).optional(),
    pooling_mode_cls_token: flag,
    pooling_mode_max_tokens: flag,
    pooling_mode_mean_tokens: flag,
    pooling_mode_mean_sqrt_len_tokens: flag,
    pooling_mode_weightedmean_tokens: flag,
    pooling_mode_lasttoken: flag,
    include_prompt: flag,
  });
  const json = await readFile(folder, file, shape) ?? missing(folder, file);
  const named = [json.pooling_mode ?? []].flat();
  const unknown = named.find((name) => !POOLINGS.some((p) => p === name));
  if (unknown !== undefined) {
    refuse(folder, file, `${short(unknown)} is not known`, "pooling_mode", `Known: ${POOLINGS.join(", ")}.`);
  }
  const flags: Record<Pooling, boolean | undefined> = {
    cls: json.pooling_mode_cls_token,
    max: json.pooling_mode_max_tokens,
    mean: json.pooling_mode_mean_tokens,
    mean_sqrt_len: json.pooling_mode_mean_sqrt_len_tokens,
    weightedmean: json.pooling_mode_weightedmean_tokens,
    lasttoken: json.pooling_mode_lasttoken,
  };
  const pooling = POOLINGS.filter((p) => named.length > 0 ? named.includes(p) : flags[p]);
  if (pooling.length === 0) refuse(folder, file, "no pooling is switched on");
  const width = json.word_embedding_dimension ?? json.embedding_dimension;
  return { pooling, includePrompt: json.include_prompt ?? true, width };
}

/** sentence-transformers looks for these one after the other. */
const TRANSFORMER_FILES = ["bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"]
  .map((name) => `sentence_${name}_config.json`);

/** How the model is loaded: what is in none of these might change its results. */
const LOADING = new Set([
  ..."add_pooling_layer attn_implementation torch_dtype dtype trust_remote_code".split(" "),
  ..."use_memory_efficient_attention unpad_inputs model_max_length".split(" "),
]);

async function readTransformer(
  folder: Folder,
  path: string,
): Promise<Pick<EmbeddingSettings, "maxLength" | "lowerCase">> {
  const inside = path === "" ? "" : `${path}/`;
  const more = z.record(z.string(), z.unknown()).optional();
  const length = z.number().int().positive();
  const shape = z.strictObject({
    max_seq_length: length.optional(),
    do_lower_case: z.boolean().optional(),
    transformer_task: z.literal("feature-extraction").optional(),
    module_output_name: z.literal("token_embeddings").optional(),
    modality_config: z.unknown().optional(),
    ...{ model_args: more, config_args: more, tokenizer_args: more },
    ...{ model_kwargs: more, config_kwargs: more, processor_kwargs: more, tokenizer_kwargs: more },
  });
  let json: z.infer<typeof shape> = {};
  for (const name of TRANSFORMER_FILES) {
    const file = `${inside}${name}`;
    const found = await readFile(folder, file, shape);
    if (!found) continue;
    for (const [key, value] of Object.entries(found)) {
      if (!/_k?w?args$/.test(key)) continue;
      const other = Object.keys(value as object).find((k) => !LOADING.has(k));
      if (other !== undefined) refuse(folder, file, `${short(other)} is not known`, `${key}.${other}`);
    }
    json = found;
    break;
  }
  const tokenizer = json.max_seq_length === undefined
    ? await readFile(
      folder,
      `${inside}tokenizer_config.json`,
      z.looseObject({ model_max_length: z.number().optional() }),
    )
    : undefined;
  // Tokenizers without a limit say 1e30.
  const most = json.max_seq_length ?? tokenizer?.model_max_length ?? Infinity;
  return { maxLength: most < 2 ** 31 ? most : undefined, lowerCase: json.do_lower_case ?? false };
}

async function readPrompts(
  folder: Folder,
): Promise<Pick<EmbeddingSettings, "prompts" | "defaultPrompt">> {
  const file = "config_sentence_transformers.json";
  const shape = z.strictObject({
    __version__: z.unknown().optional(),
    similarity_fn_name: z.unknown().optional(), // how vectors are compared is the caller's choice
    model_type: z.literal("SentenceTransformer").optional(),
    prompts: z.record(z.string(), z.string()).optional(),
    default_prompt_name: z.string().optional(),
  });
  const { prompts = {}, default_prompt_name: defaultPrompt } = await readFile(folder, file, shape) ?? {};
  if (defaultPrompt !== undefined && !Object.hasOwn(prompts, defaultPrompt)) {
    refuse(folder, file, `there is no prompt ${short(defaultPrompt)}`, "default_prompt_name");
  }
  return { prompts, defaultPrompt };
}

/** A JSON file, checked; undefined where there is none. A key of an object that is null counts as absent. */
async function readFile<T>(folder: Folder, name: string, shape: z.ZodType<T>): Promise<T | undefined> {
  const text = await readText(folder, name);
  if (text === undefined) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    refuse(folder, name, messageOf(cause), undefined, undefined, cause);
  }
  const plain = typeof json === "object" && json !== null && !Array.isArray(json);
  const parsed = shape.safeParse(plain ? withoutNulls(json as Record<string, unknown>) : json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const at = issue.path.join(".");
  return refuse(folder, name, at ? `${at}: ${issue.message}` : issue.message, at || undefined);
}

function missing(folder: Folder, file: string): never {
  return refuse(folder, file, "the file is missing, though modules.json names its folder");
}

function refuse(
  folder: Folder,
  name: string,
  what: string,
  json?: string,
  fix?: string,
  cause?: unknown,
): never {
  const file = joinFile(folder.name, name);
  raise("KW-EMBED-CONFIG", `Cannot use ${JSON.stringify(name)}: ${what}`, fix, { file, json }, cause);
}
