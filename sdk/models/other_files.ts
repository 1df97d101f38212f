/** What lies beside config.json and holds no weights goes with the model when it is saved. */
import { fs, isMissing, messageOf } from "../host/mod.ts";
import type { Folder, Source } from "../checkpoint/mod.ts";
import { KernelwrightError } from "../errors.ts";
import type { PretrainedModel } from "./pretrained_model.ts";

/** Whether a path leads to a folder inside, and nowhere else. */
export function isInside(path: string): boolean {
  return path.split("/").every((part) => !/^(\.{0,2})$|[\\:]/.test(part));
}

/** Remembers which folder a model was loaded from. */
export function setOtherFiles(model: PretrainedModel, folder: Folder): void {
  folders.set(model, folder);
}

/**
 * Reads the other files of the folder that a model was loaded from. None where it was not loaded, or is saved into
 * that folder.
 *
 * @param target The folder that it is saved into.
 * @throws KW-CHECKPOINT-WRITE where the folder has gone or a file cannot be read.
 */
export async function readOtherFiles(
  model: PretrainedModel,
  target: string,
): Promise<Map<string, Uint8Array>> {
  const folder = folders.get(model);
  const found = new Map<string, Uint8Array>();
  if (!folder || await isSame(folder, target)) return found;
  try {
    // A server does not say what it has: there, what usually lies in such a folder is asked for.
    for (const name of await folder.list?.() ?? USUAL) {
      if (!isOther(name)) continue;
      const source = await folder.open(name);
      if (!source) continue;
      found.set(name, await bytesOf(source));
    }
    // A sentence-transformers folder says there what lies in the folders inside; all of it is small.
    for (const path of modulePaths(found.get("modules.json"))) {
      const source = await folder.open(`${path}/config.json`);
      if (source) found.set(`${path}/config.json`, await bytesOf(source));
    }
  } catch (cause) {
    throw new KernelwrightError({
      code: "KW-CHECKPOINT-WRITE",
      what: `Cannot save the other files of the model (its tokenizer, its license, …): ${messageOf(cause)}`,
      fix: "They are read from where the model was loaded. Save with { otherFiles: false } to go without.",
      where: { file: folder.name },
    }, cause);
  }
  return found;
}

// ---------------------------------------------------------------------------

const folders = new WeakMap<PretrainedModel, Folder>();

/** Weights in any format, with what describes them; what saving writes itself; and drafts. */
const NOT_OTHER = [
  /\.(safetensors|bin|pt|pth|ckpt|pkl|pickle|gguf|ggml|h5|hdf5|msgpack|npy|npz|ot|tflite|onnx|mlmodel|pdparams|params)$/i,
  /\.(safetensors|bin|pt|h5|msgpack)\.index\.json$/i,
  /\.onnx[._]data(_\d+)?$/i,
  /\.(data-\d+-of-\d+|index)$/i, // TensorFlow's
  /^(config|kernels)\.json$|^kernels\.lock$/i,
  /^\..*\.tmp$/,
];

function isOther(name: string): boolean {
  // A picked folder's files come with their paths: those of folders inside do not lie beside config.json.
  return !/[/\\]/.test(name) && !NOT_OTHER.some((pattern) => pattern.test(name));
}

const USUAL: readonly string[] = [
  "modules.json",
  "sentence_bert_config.json",
  "config_sentence_transformers.json",
  "generation_config.json",
  "preprocessor_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "tokenizer.model",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "vocab.txt",
  "merges.txt",
  "chat_template.jinja",
  "chat_template.json",
  "README.md",
  "LICENSE",
  "LICENSE.md",
  "LICENSE.txt",
  "NOTICE",
  "NOTICE.txt",
  "USE_POLICY.md",
];

async function bytesOf(source: Source): Promise<Uint8Array> {
  try {
    return await source.read(0, source.size);
  } finally {
    await source.close?.();
  }
}

/** The folders inside that a modules.json names. What is no such list is saved as it is, and says nothing. */
function modulePaths(text: Uint8Array | undefined): string[] {
  if (!text) return [];
  try {
    const list: unknown = JSON.parse(new TextDecoder().decode(text));
    return [list].flat().map((m) => String((m as { path?: unknown } | null)?.path ?? "")).filter(isInside);
  } catch {
    return [];
  }
}

async function isSame(folder: Folder, target: string): Promise<boolean> {
  if (folder.urlOf?.("config.json").protocol !== "file:") return false;
  const { realpath } = fs();
  try {
    return await realpath(folder.name) === await realpath(target);
  } catch (cause) {
    if (isMissing(cause)) return false; // one of the two is not there
    throw cause;
  }
}
