import { backtracksIn } from "./backtracking.ts";
import { joinFile, messageOf } from "../host/mod.ts";
import { type FolderLocation, type FolderOptions, openFolder, readText } from "../checkpoint/mod.ts";
import { KernelwrightError, raise } from "../errors.ts";

/** Text to ids and back, as the checkpoint's tokenizer.json says. */
export interface Tokenizer {
  /**
   * The ids of a text, with the special tokens that the tokenizer puts around it.
   *
   * @param options.specialTokens False leaves those out.
   * @throws KW-TOKENIZER for a text that the tokenizer has no ids for.
   */
  encode(text: string, options?: { readonly specialTokens?: boolean }): number[];
  /**
   * The text of ids, without special tokens; of none it is empty.
   *
   * @throws KW-TOKENIZER for an id that the tokenizer does not have.
   */
  decode(ids: readonly number[]): string;
}

/**
 * Loads the tokenizer of a model folder: a path, an address, or the files that a user picked.
 *
 * @returns Undefined where the folder has no tokenizer.json.
 * @throws KW-TOKENIZER when the file cannot be used; KW-CHECKPOINT-OPEN when it cannot be read.
 *
 * @example
 * ```ts
 * import { loadTokenizer } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * const tokenizer = await loadTokenizer("./model");
 * const ids = tokenizer!.encode("a little girl");
 * assertEquals([ids.length, tokenizer!.decode(ids)], [3, "a little girl"]);
 * ```
 */
export async function loadTokenizer(
  dir: FolderLocation,
  options: FolderOptions = {},
): Promise<Tokenizer | undefined> {
  const folder = openFolder(dir, options);
  const text = await readText(folder, "tokenizer.json");
  if (text === undefined) return undefined;
  const file = joinFile(folder.name, "tokenizer.json");
  const configFile = joinFile(folder.name, "tokenizer_config.json");
  const { Tokenizer: Implementation } = await import("@huggingface/tokenizers");
  const json = parse(text, file);
  const config = parse(await readText(folder, "tokenizer_config.json") ?? "{}", configFile);
  checkTokenizer(json, file);
  const implementation = guarded("use the tokenizer", file, () => new Implementation(json, config));
  checkPatterns(implementation, file);
  return new Guarded(implementation, file);
}

// ---------------------------------------------------------------------------

/** What is used of the implementation. */
interface Implementation {
  encode(
    text: string,
    options: { readonly add_special_tokens: boolean },
  ): { readonly ids: readonly number[]; readonly tokens: readonly string[] };
  decode(ids: number[], options: { readonly skip_special_tokens: boolean }): string;
  id_to_token(id: number): string | undefined;
}

class Guarded implements Tokenizer {
  readonly #tokenizer: Implementation;
  readonly #file: string;

  constructor(tokenizer: Implementation, file: string) {
    [this.#tokenizer, this.#file] = [tokenizer, file];
  }

  encode(text: string, options: { readonly specialTokens?: boolean } = {}): number[] {
    if (typeof text !== "string") refuse("encode", this.#file, `${show(text)} is not a text`);
    const { ids, tokens } = guarded(
      "encode",
      this.#file,
      () => this.#tokenizer.encode(text, { add_special_tokens: options.specialTokens ?? true }),
    );
    const bad = ids.findIndex((id) => !isId(id));
    if (bad < 0) return [...ids];
    const what = `there is no id for ${show(tokens[bad])}, and no token for what is unknown`;
    return refuse("encode", this.#file, what);
  }

  decode(ids: readonly number[]): string {
    const list = Array.from(ids ?? []);
    if (list.length === 0) return "";
    const bad = list.findIndex((id) => !isId(id) || typeof this.#tokenizer.id_to_token(id) !== "string");
    if (bad >= 0) {
      refuse("decode", this.#file, `the tokenizer has no id ${show(list[bad])}, which is at position ${bad}`);
    }
    const text = guarded(
      "decode",
      this.#file,
      () => this.#tokenizer.decode(list, { skip_special_tokens: true }),
    );
    return typeof text === "string" ? text : refuse("decode", this.#file, "its decoder gives no text");
  }
}

function isId(id: unknown): id is number {
  return Number.isInteger(id) && (id as number) >= 0;
}

function parse(text: string, file: string): object {
  const json = guarded("read the tokenizer", file, () => JSON.parse(text));
  return isObject(json) ? json : refuse("use the tokenizer", file, "the file is not a JSON object");
}

/** What the implementation takes without a look and stumbles over later, or reads as something else. */
function checkTokenizer(json: object, file: string): void {
  const { added_tokens: added = [], model } = json as Record<string, unknown>;
  const wrong = (what: string): never => refuse("use the tokenizer", file, what);
  if (!Array.isArray(added)) wrong("added_tokens is not a list");
  (added as unknown[]).forEach((token, i) => {
    const { id, content } = (isObject(token) ? token : {}) as Record<string, unknown>;
    if (!isId(id) || typeof content !== "string") wrong(`added_tokens[${i}] has no id and content`);
  });
  if (!isObject(model)) return wrong("model is not an object");
  const { vocab, merges } = model as Record<string, unknown>;
  if (Array.isArray(vocab)) {
    const bad = vocab.findIndex((v) =>
      !Array.isArray(v) || typeof v[0] !== "string" || !Number.isFinite(v[1])
    );
    if (bad >= 0) wrong(`model.vocab[${bad}] is not a token and its score`);
  } else if (isObject(vocab)) {
    for (const [token, id] of Object.entries(vocab)) {
      if (!isId(id)) wrong(`model.vocab: ${show(token)} has the id ${show(id)}`);
    }
  } else wrong("model.vocab is neither an object nor a list");
  if (merges === undefined || merges === null) return;
  if (!Array.isArray(merges)) return wrong("model.merges is not a list");
  const words = isText(merges[0]); // all are written alike
  const bad = merges.findIndex((m) =>
    !(words ? isText(m) && m.includes(" ") : Array.isArray(m) && m.length === 2 && m.every(isText))
  );
  if (bad >= 0) wrong(`model.merges[${bad}] is not two tokens, written as the first`);
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

/**
 * Looks at the expressions that were made of the file's: one that backtracks for ever hangs whoever encodes, and where
 * a pattern is of no known kind there is none, so that it would match nothing without a word.
 */
function checkPatterns(implementation: object, file: string): void {
  const { normalizer, pre_tokenizer, post_processor, decoder } = implementation as Record<string, unknown>;
  const seen = new Set<unknown>();
  const waiting: unknown[] = [normalizer, pre_tokenizer, post_processor, decoder];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if ((typeof value !== "object" && typeof value !== "function") || value === null || seen.has(value)) {
      continue;
    }
    seen.add(value);
    if (value instanceof RegExp) {
      const why = backtracksIn(value.source);
      if (why === undefined) continue;
      refuse("use the tokenizer", file, `the expression ${show(value.source)} could take for ever: ${why}`);
    }
    const { type, length } = value as { readonly type?: unknown; readonly length?: unknown };
    if (type === "FixedLength" && !(Number.isInteger(length) && (length as number) > 0)) {
      refuse("use the tokenizer", file, `pieces of length ${show(length)} have no end`);
    }
    for (const [name, inner] of Object.entries(value)) {
      if (name === "pattern" && inner === null) {
        refuse("use the tokenizer", file, "a pattern has neither String nor Regex");
      }
      waiting.push(inner);
    }
  }
}

/** Runs the implementation: what it throws becomes ours. */
function guarded<T>(action: string, file: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (cause instanceof KernelwrightError) throw cause;
    return refuse(action, file, messageOf(cause), cause);
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function show(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function refuse(action: string, file: string, what: string, cause?: unknown): never {
  const fix = action.endsWith("code") ? undefined : "Check that it is whole, or give ids instead of text.";
  raise("KW-TOKENIZER", `Cannot ${action}: ${what}`, fix, { file }, cause);
}
