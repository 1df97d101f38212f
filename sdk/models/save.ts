import { fileUrlOfPath } from "../checkpoint/files.ts";
import { saveCheckpoint, type SaveOptions, type SaveReport } from "../checkpoint/mod.ts";
import { raise } from "../errors.ts";
import { type KernelConfig, kernelConfig, siteConversions, splitRef } from "../kernelize/mod.ts";
import type { CausalLM } from "./causal_lm.ts";

/** How a model is saved as a folder. */
export interface SavePretrainedOptions extends Pick<SaveOptions, "maxShardSize" | "signal"> {
  /** Whether kernels.json is written for a model that has kernels; true unless told. */
  readonly kernels?: boolean;
}

/**
 * Saves a model as a folder in Hugging Face format: the weights as the original has them, whatever kernels are in,
 * with config.json, and kernels.json beside them so that the same kernels can be put in again.
 *
 * All of it goes into place together; without kernels, an older kernels.json goes.
 *
 * @throws KW-CHECKPOINT-WRITE, KW-CONVERT-NO-REVERSE, KW-ABORTED; KW-CONFIG-KERNELS for kernels that were given as classes, which
 * a file cannot name.
 */
export async function savePretrained(
  model: CausalLM,
  dir: string,
  options: SavePretrainedOptions = {},
): Promise<SaveReport> {
  const kernels = options.kernels === false ? undefined : kernelConfig(model);
  // Before anything is written. References without a base were found from the working folder.
  const text = kernels && kernelsJson(kernels.config, kernels.base ?? fileUrlOfPath("./"));
  const config = `${JSON.stringify(model.config.source ?? model.config, null, 2)}\n`;
  const extra = [{ name: "config.json", from: new TextEncoder().encode(config) }];
  if (text !== undefined) extra.push({ name: "kernels.json", from: new TextEncoder().encode(text) });
  return await saveCheckpoint(model, dir, {
    maxShardSize: options.maxShardSize,
    signal: options.signal,
    conversions: siteConversions(model),
    extra,
    remove: ["kernels.json"],
  });
}

/**
 * A kernel config as the text of a kernels.json. Local references become absolute, since the file may lie elsewhere.
 *
 * @param base Where relative references start.
 * @throws KW-CONFIG-KERNELS where a kernel is a class.
 */
export function kernelsJson(config: KernelConfig, base?: URL): string {
  const text = JSON.stringify(config, (key, value) => {
    if (typeof value === "function") {
      raise(
        "KW-CONFIG-KERNELS",
        `Cannot write the kernel ${value.name} into kernels.json: it was given as a class`,
        'Name it by a reference, "./folder:ClassName", or save with { kernels: false }.',
        { json: key },
      );
    }
    if (base && typeof value === "string" && /^\.{0,2}\//.test(value)) {
      const { where, name } = splitRef(value);
      return `${new URL(where, base).href}:${name}`;
    }
    return value;
  }, 2);
  return `${text}\n`;
}
