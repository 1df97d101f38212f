import { joinFile } from "../checkpoint/files.ts";
import { type FolderLocation, openFolder, readText } from "../checkpoint/mod.ts";
import { raise } from "../errors.ts";

/** Text to ids and back, as the checkpoint's tokenizer.json says. */
export interface Tokenizer {
  /** The ids of a text, with the special tokens that the tokenizer puts around it. */
  encode(text: string): number[];
  /** The text of ids, without special tokens. */
  decode(ids: readonly number[]): string;
}

/**
 * Loads the tokenizer of a model folder: a path, an address, or the files that a user picked.
 *
 * @returns Undefined where the folder has no tokenizer.json.
 * @throws KW-TOKENIZER when the file cannot be used; KW-CHECKPOINT-OPEN when it cannot be read.
 */
export async function loadTokenizer(dir: FolderLocation): Promise<Tokenizer | undefined> {
  const folder = openFolder(dir, { allowLinks: true });
  const text = await readText(folder, "tokenizer.json");
  if (text === undefined) return undefined;
  const config = await readText(folder, "tokenizer_config.json") ?? "{}";
  const file = joinFile(folder.name, "tokenizer.json");
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
