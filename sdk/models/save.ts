import { throwIfAborted } from "../abort.ts";
import { checkArgument, checkFields, checkOptions, type OptionNames, refuseArgument } from "../arguments.ts";
import { fileUrlOfPath, fs, joinFile, messageOf } from "../host/mod.ts";
import { saveCheckpoint, type SaveOptions, type SaveReport } from "../checkpoint/mod.ts";
import { raise } from "../errors.ts";
import {
  type KernelConfig,
  kernelConfig,
  type KernelRef,
  mapRefs,
  parseReference,
  pathOf,
  referenceText,
  siteConversions,
  takeTurn,
} from "../kernelize/mod.ts";
import { readOtherFiles } from "./other_files.ts";
import type { PretrainedModel } from "./pretrained_model.ts";

/** How a model is saved as a folder. */
export interface SavePretrainedOptions extends Pick<SaveOptions, "maxShardSize" | "signal"> {
  /** Whether kernels.json is written for a model that has kernels; defaults to true. */
  readonly kernels?: boolean;
  /**
   * Whether what else lies in the folder that the model was loaded from is saved too: generation_config.json, the
   * tokenizer's files, the license, and whatever holds no weights. Defaults to true.
   */
  readonly otherFiles?: boolean;
}

/**
 * Saves a model as a folder in Hugging Face format: the weights as the original has them, whatever kernels are in,
 * with config.json, kernels.json beside them so that the same kernels can be put in again, and the other files of the
 * folder that it was loaded from.
 *
 * It waits its turn: a `kernelize` of the model that is running comes first, and one that is asked for later waits.
 *
 * All of it goes into place together; without kernels, an older kernels.json goes.
 *
 * @throws KW-CHECKPOINT-WRITE, KW-CONVERT-NO-REVERSE, KW-ABORTED; KW-CONFIG-KERNELS for kernels that were given as classes, which
 * a file cannot name.
 *
 * @example
 * ```ts
 * import { loadCausalLM, savePretrained } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * using model = await loadCausalLM("./model");
 * const { files } = await savePretrained(model, "./copy");
 * assertEquals(files, ["model.safetensors"]);
 * const bytes = (dir: string) => Deno.readFile(`${dir}/model.safetensors`);
 * assertEquals(await bytes("./copy"), await bytes("./model"));
 * ```
 */
export async function savePretrained(
  model: PretrainedModel,
  dir: string,
  options: SavePretrainedOptions = {},
): Promise<SaveReport> {
  checkArgument("savePretrained(): dir", dir, "a string");
  checkOptions("savePretrained(): options", options, OPTIONS);
  checkFields("savePretrained(): model", model, { config: "an object", namedParameters: "a function" });
  throwIfAborted(options.signal, "saving the model");
  return await takeTurn(model, () => save(model, dir, options), options.signal);
}

const OPTIONS: OptionNames<SavePretrainedOptions> = {
  kernels: true,
  maxShardSize: true,
  otherFiles: true,
  signal: true,
};

async function save(
  model: PretrainedModel,
  dir: string,
  options: SavePretrainedOptions,
): Promise<SaveReport> {
  const { signal } = options;
  const kernels = options.kernels === false ? undefined : kernelConfig(model);
  // Before anything is written. References without a base were found from the working folder.
  const text = kernels && kernelsJson(kernels.config, kernels.base ?? fileUrlOfPath("./"));
  const others = options.otherFiles === false ? new Map() : await readOtherFiles(model, dir);
  throwIfAborted(signal, "saving the model");
  const config = `${JSON.stringify(model.config.source ?? model.config, null, 2)}\n`;
  const encoder = new TextEncoder();
  const extra = [
    ...[...others].filter(([name]) => !name.includes("/")).map(([name, from]) => ({ name, from })),
    { name: "config.json", from: encoder.encode(config) },
    ...text === undefined ? [] : [{ name: "kernels.json", from: encoder.encode(text) }],
  ];
  const report = await saveCheckpoint(model, dir, {
    maxShardSize: options.maxShardSize,
    signal,
    conversions: siteConversions(model),
    extra,
    remove: ["kernels.json"],
  });
  for (const [name, bytes] of others) if (name.includes("/")) await writeInside(dir, name, bytes);
  return report;
}

/** Writes a file into a folder inside, which is made where there is none. */
async function writeInside(dir: string, name: string, bytes: Uint8Array): Promise<void> {
  const file = joinFile(dir, name);
  try {
    await fs().mkdir(file.slice(0, file.lastIndexOf("/")), { recursive: true });
    await fs().writeFile(file, bytes);
  } catch (cause) {
    raise(
      "KW-CHECKPOINT-WRITE",
      `Cannot save a module's settings: ${messageOf(cause)}`,
      "The weights are saved; copy that file yourself.",
      { file },
      cause,
    );
  }
}

/**
 * A kernel config as the text of a kernels.json. Local references become absolute, since the file may lie elsewhere.
 *
 * @param base Where relative references start.
 * @throws KW-CONFIG-KERNELS where a kernel is a class.
 */
export function kernelsJson(config: KernelConfig, base?: URL): string {
  checkArgument("kernelsJson(): config", config, "an object");
  checkArgument("kernelsJson(): config.kernels", config.kernels, "objects in an array");
  if (base !== undefined && !(base instanceof URL)) refuseArgument("kernelsJson(): base", base, "a URL");
  const kernels = config.kernels.map((entry, i) =>
    "with" in entry ? { ...entry, with: mapRefs(entry.with, (ref) => written(ref, base, i)) } : entry
  );
  return `${JSON.stringify({ ...config, kernels }, null, 2)}\n`;
}

function written(ref: KernelRef, base: URL | undefined, index: number): string {
  const reference = parseReference(ref, base);
  switch (reference.kind) {
    case "class":
      return raise(
        "KW-CONFIG-KERNELS",
        `Cannot write the kernel ${reference.name} into kernels.json: it was given as a class`,
        'Name it by a reference, "./folder:ClassName", or save with { kernels: false }.',
        { json: `kernels[${index}].with` },
      );
    case "path": {
      if (base?.protocol !== "file:") return referenceText(reference);
      const { href } = fileUrlOfPath(pathOf(reference, base));
      return referenceText({ kind: "file", where: href, name: reference.name });
    }
    default:
      return referenceText(reference);
  }
}
