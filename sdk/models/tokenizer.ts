import { raise } from "../errors.ts";

/** Text to ids and back, as the checkpoint's tokenizer.json says. */
export interface Tokenizer {
  /** The ids of a text, with the special tokens that the tokenizer puts around it. */
  encode(text: string): number[];
  /** The text of ids, without special tokens. */
  decode(ids: readonly number[]): string;
}

/**
 * Loads the tokenizer of a model folder.
 *
 * @returns Undefined where the folder has no tokenizer.json.
 * @throws KW-TOKENIZER when the file cannot be used.
 */
export async function loadTokenizer(dir: string): Promise<Tokenizer | undefined> {
  const { readFile } = await import("node:fs/promises");
  const file = `${dir}/tokenizer.json`;
  const text = await readFile(file, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const config = await readFile(`${dir}/tokenizer_config.json`, "utf8").catch(() => "{}");
  try {
    const { Tokenizer: Implementation } = await import("@huggingface/tokenizers");
    const tokenizer = new Implementation(JSON.parse(text), JSON.parse(config));
    return {
      encode: (t) => [...tokenizer.encode(t).ids],
      decode: (ids) => tokenizer.decode([...ids], { skip_special_tokens: true }),
    };
  } catch (cause) {
    raise(
      "KW-TOKENIZER",
      `Cannot use the tokenizer: ${String(cause)}`,
      "Check that tokenizer.json is whole.",
      { file },
      cause,
    );
  }
}
