import { throwIfAborted } from "../../abort.ts";
import { checkArgument, checkOptions, type OptionNames } from "../../arguments.ts";
import { type FolderLocation, openFolder } from "../../checkpoint/mod.ts";
import { raise } from "../../errors.ts";
import { keep, scope, Tensor } from "../../tensor/mod.ts";
import { short } from "../config_keys.ts";
import type { EncoderModel } from "../encoder.ts";
import { ENCODERS } from "../families.ts";
import { loadPretrained, type PretrainedOptions } from "../from_pretrained.ts";
import { loadTokenizer, type Tokenizer } from "../tokenizer.ts";
import { inOrder, pool, type Pooling, POOLINGS } from "./pooling.ts";
import { type EmbeddingSettings, insideFolder, readEmbeddingSettings } from "./settings.ts";

/** How an embedder is loaded. What is given here takes precedence over what the folder says. */
export interface EmbedderOptions extends PretrainedOptions {
  /** How the vectors of tokens become one; several are put behind each other. */
  readonly pooling?: Pooling | readonly Pooling[];
  /** Whether vectors are divided by their length. Defaults to what the folder says; without modules.json to false. */
  readonly normalize?: boolean;
}

/** A text, its ids with special tokens, or ids with the part of a pair that each is of. */
export type EmbedInput = string | readonly number[] | {
  /** Ids, with special tokens. */
  readonly input_ids: readonly number[];
  /** For each id, which part it is of. */
  readonly token_type_ids?: readonly number[];
};

/** How texts are embedded. */
export interface EmbedOptions {
  /** Texts that run at once, of about the same length. Defaults to 32. */
  readonly batchSize?: number;
  /** The name of the prompt that is put before each text. Defaults to the folder's default, which mostly is none. */
  readonly prompt?: string;
  /** Stops it before the next batch. */
  readonly signal?: AbortSignal;
}

/**
 * An encoder that turns texts into vectors, as a sentence-transformers folder says.
 *
 * @example
 * ```ts
 * import { cosineSimilarity, SentenceEmbedder } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * using embedder = await SentenceEmbedder.fromPretrained("./sentences");
 * const [a, b, c] = await embedder.embed(["once upon a time", "once upon a time", "red ball"]);
 * assertEquals(a.length, embedder.width);
 * assertEquals(cosineSimilarity(a, b) > cosineSimilarity(a, c), true);
 * ```
 */
export class SentenceEmbedder {
  /** Keeps what it is given. {@linkcode SentenceEmbedder.fromPretrained} reads it from a folder. */
  constructor(
    /** The encoder. */
    readonly model: EncoderModel,
    /** How texts become vectors. */
    readonly settings: EmbeddingSettings,
    /** Text to ids; without it, ids are embedded only. */
    readonly tokenizer?: Tokenizer,
  ) {}

  /**
   * Loads a folder: modules.json says what is done, and the options what it does not say.
   *
   * @throws KW-EMBED-CONFIG for modules other than Transformer, Pooling and Normalize, for keys that are not known, and
   * where neither the folder nor the options say how to pool; and what loading an encoder throws.
   */
  static async fromPretrained(dir: FolderLocation, options: EmbedderOptions = {}): Promise<SentenceEmbedder> {
    checkArgument("SentenceEmbedder.fromPretrained(): options", options, "an object");
    const { pooling: _, normalize: __, ...loading } = options; // read below
    const given = await readEmbeddingSettings(dir);
    const pooling = poolingOf(options.pooling) ?? given?.pooling;
    if (!pooling) {
      raise(
        "KW-EMBED-CONFIG",
        "Cannot embed texts: the folder has no modules.json, which says how",
        `Give the pooling, one of ${POOLINGS.join(", ")}.`,
        { file: openFolder(dir).name },
      );
    }
    const settings: EmbeddingSettings = {
      lowerCase: false,
      prompts: {},
      includePrompt: true,
      path: "",
      ...given,
      pooling,
      normalize: options.normalize ?? given?.normalize ?? false,
    };
    // The folder itself stays a path: then links are looked at, and the other files are saved with the model.
    const place = settings.path === ""
      ? dir
      : insideFolder(openFolder(dir, { allowLinks: options.allowLinks }), settings.path);
    const tokenizer = await loadTokenizer(place);
    const model = await loadPretrained(place, loading, ENCODERS, "SentenceEmbedder.fromPretrained()");
    const { hidden_size } = model.config;
    if (given?.width !== undefined && given.width !== hidden_size) {
      model.dispose();
      raise(
        "KW-EMBED-CONFIG",
        `Cannot embed texts: the pooling is for vectors of ${given.width} numbers, and the model gives ${hidden_size}`,
      );
    }
    return new SentenceEmbedder(model, settings, tokenizer);
  }

  /** How many numbers a vector has. */
  get width(): number {
    return inOrder(this.settings.pooling).length * this.model.config.hidden_size;
  }

  /** The most tokens of a text, special ones too. */
  get maxLength(): number {
    return Math.min(this.settings.maxLength ?? Infinity, this.model.config.max_position_embeddings);
  }

  /**
   * A vector for each text. Longer texts are cut to {@linkcode SentenceEmbedder.maxLength}; how texts come to be in one batch
   * changes no more than the last bits.
   *
   * @throws KW-EMBED-TEXT for a text without tokens, ids that the model does not have or that are too many, or texts where
   * there is no tokenizer; KW-TOKENIZER; KW-EMBED-CONFIG for an unknown prompt.
   */
  async embed(
    inputs: readonly EmbedInput[],
    options: EmbedOptions = {},
  ): Promise<Float32Array<ArrayBuffer>[]> {
    checkArgument("embed(): inputs", inputs, "an array");
    checkOptions("embed(): options", options, EMBED_OPTIONS);
    const { batchSize = 32, signal } = options;
    checkArgument("embed(): batchSize", batchSize, "a count");
    const prompt = this.#promptOf(options.prompt);
    const rows = inputs.map((input, i) => ({ i, ...this.#read(input, i, prompt) }));
    rows.sort((a, b) => a.ids.length - b.ids.length);
    const found: Float32Array<ArrayBuffer>[] = Array.from(rows, () => new Float32Array(0));
    const each = Math.max(1, batchSize);
    for (let from = 0; from < rows.length; from += each) {
      throwIfAborted(signal, "embedding texts");
      const batch = rows.slice(from, from + each);
      const vectors = await this.#run(batch);
      batch.forEach(({ i }, n) => found[i] = vectors[n]);
    }
    return found;
  }

  /** Releases the model's memory. */
  dispose(): void {
    this.model.dispose();
  }

  /** Lets `using` statements release it. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #promptOf(name = this.settings.defaultPrompt): string {
    if (name === undefined) return "";
    const { prompts, includePrompt } = this.settings;
    if (!Object.hasOwn(prompts, name)) {
      raise(
        "KW-EMBED-CONFIG",
        `Cannot embed texts with the prompt ${short(name)}: the folder has none of that name`,
        `Known: ${Object.keys(prompts).join(", ") || "none"}.`,
      );
    }
    if (!includePrompt) {
      raise(
        "KW-EMBED-CONFIG",
        `Cannot embed texts with the prompt ${short(name)}: include_prompt is false, which is not supported`,
      );
    }
    return prompts[name];
  }

  #read(input: EmbedInput, at: number, prompt: string): Row {
    const refuse = (what: string, fix: string): never =>
      raise("KW-EMBED-TEXT", `Cannot embed text ${at}: ${what}`, fix);
    const { vocab_size } = this.model.config;
    let row: Row;
    if (typeof input === "string") row = { ids: this.#encode(prompt + input, refuse) };
    else if (Array.isArray(input)) row = { ids: input };
    else {
      const { input_ids: ids, token_type_ids: types } = (input ?? {}) as Partial<
        Exclude<EmbedInput, string | readonly number[]>
      >;
      if (!Array.isArray(ids)) return refuse(`it is ${short(input)}`, "Give a text, or its ids.");
      if (types && types.length !== ids.length) {
        refuse(`${types.length} token_type_ids for ${ids.length} ids`, "Give one for each id.");
      }
      const parts = this.model.config.type_vocab_size ?? 1;
      const odd = types?.find((t) => !Number.isInteger(t) || t < 0 || t >= parts);
      if (odd !== undefined) refuse(`token_type_id ${odd}`, `Those of this model are 0 to ${parts - 1}.`);
      // Where there is one part only, they say nothing.
      row = { ids, types: parts > 1 ? types : undefined };
    }
    const { ids } = row;
    const bad = ids.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= vocab_size);
    if (bad >= 0) {
      refuse(`id ${ids[bad]} at position ${bad}`, `Ids of this model are 0 to ${vocab_size - 1}.`);
    }
    if (ids.length === 0) refuse("it has no tokens", "Give a text that has some.");
    if (ids.length > this.maxLength) {
      refuse(`it has ${ids.length} ids`, `This model takes ${this.maxLength}.`);
    }
    return row;
  }

  /** The ids of a text. Of a long one, what the tokenizer puts around it stays, and its end is cut. */
  #encode(text: string, refuse: (what: string, fix: string) => never): number[] {
    const { tokenizer, maxLength: most } = this;
    if (!tokenizer) return refuse("there is no tokenizer.json", "Give ids.");
    const plain = text.trim(); // as sentence-transformers does
    const words = this.settings.lowerCase ? plain.toLowerCase() : plain;
    const ids = tokenizer.encode(words);
    if (ids.length <= most) return ids;
    const bare = tokenizer.encode(words, { specialTokens: false });
    const around = ids.length - bare.length;
    const begin = Array.from({ length: around + 1 }, (_, n) => n)
      .find((n) => bare.every((id, i) => ids[n + i] === id));
    if (begin === undefined || around >= most) {
      return refuse(
        `it has ${ids.length} tokens, and cannot be cut to ${most}`,
        "Give a shorter text, or ids.",
      );
    }
    return [...ids.slice(0, begin + most - around), ...ids.slice(begin + bare.length)];
  }

  async #run(batch: readonly Row[]): Promise<Float32Array<ArrayBuffer>[]> {
    const { model, settings } = this;
    const lengths = batch.map((row) => row.ids.length);
    const tokens = lengths.at(-1)!; // they are in the order of their lengths
    const outs = scope(() => {
      const of = (values: (row: Row) => readonly number[], rest: number) =>
        Tensor.from(
          Int32Array.from(batch.flatMap((row) => {
            const found = values(row);
            return [...found, ...Array.from({ length: tokens - found.length }, () => rest)];
          })),
          { shape: [batch.length, tokens], device: model.device },
        );
      const hidden = model.call(of((row) => row.ids, model.config.pad_token_id), {
        attention_mask: lengths[0] === tokens ? undefined : of((row) => row.ids.map(() => 1), 0),
        token_type_ids: batch.some((row) => row.types)
          ? of((row) => row.types ?? row.ids.map(() => 0), 0)
          : undefined,
      });
      return pool(hidden, lengths, settings.pooling).map((t) => keep(t));
    });
    try {
      const parts = await Promise.all(outs.map((out) => out.data()));
      const { hidden_size } = model.config;
      return batch.map((_, n) => {
        const vector = parts.flatMap((part) => [...part.subarray(n * hidden_size, (n + 1) * hidden_size)]);
        return Float32Array.from(settings.normalize ? normalized(vector) : vector);
      });
    } finally {
      for (const out of outs) out.dispose();
    }
  }
}

/**
 * The cosine of the angle between two vectors.
 *
 * See the example of {@linkcode SentenceEmbedder}.
 *
 * @throws KW-ARGUMENT for vectors of different widths.
 */
export function cosineSimilarity(a: ArrayLike<number>, b: ArrayLike<number>): number {
  for (const v of [a, b]) {
    if (ArrayBuffer.isView(v) && typeof (v as Float32Array)[0] !== "bigint") continue;
    checkArgument("cosineSimilarity(): a vector", v, "numbers in an array");
  }
  if (a.length !== b.length) {
    raise("KW-ARGUMENT", `Cannot compare a vector of ${a.length} numbers with one of ${b.length}`);
  }
  let product = 0;
  for (let i = 0; i < a.length; i++) product += a[i] * b[i];
  return product / Math.max(lengthOf(a) * lengthOf(b), LEAST);
}

// ---------------------------------------------------------------------------

interface Row {
  readonly ids: readonly number[];
  readonly types?: readonly number[];
}

const EMBED_OPTIONS: OptionNames<EmbedOptions> = { batchSize: true, prompt: true, signal: true };

/** As PyTorch: a vector of zeros stays one. */
const LEAST = 1e-12;

function lengthOf(vector: ArrayLike<number>): number {
  let squares = 0;
  for (let i = 0; i < vector.length; i++) squares += vector[i] ** 2;
  return Math.sqrt(squares);
}

function normalized(vector: readonly number[]): number[] {
  const length = Math.max(lengthOf(vector), LEAST);
  return vector.map((v) => v / length);
}

function poolingOf(given: EmbedderOptions["pooling"]): readonly Pooling[] | undefined {
  if (given === undefined) return undefined;
  const list = [given].flat() as Pooling[];
  const bad = list.find((p) => !POOLINGS.includes(p));
  if (list.length > 0 && bad === undefined) return list;
  raise("KW-EMBED-CONFIG", `Cannot pool by ${short(given)}`, `Known: ${POOLINGS.join(", ")}.`);
}
