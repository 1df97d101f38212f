import { fileUrlOfPath, joinFile } from "../checkpoint/files.ts";
import { locate, textOf } from "../checkpoint/folder.ts";
import {
  fileSource,
  type Folder,
  type FolderLocation,
  loadCheckpoint,
  type LoadOptions,
  type LoadReport,
  openCheckpoint,
  openFolder,
  readText,
  urlSource,
} from "../checkpoint/mod.ts";
import { throwIfAborted } from "../abort.ts";
import { closest, raise } from "../errors.ts";
import { openGpu } from "../gpu/mod.ts";
import {
  type KernelConfig,
  kernelize,
  type KernelizeOptions,
  parseKernelConfig,
  unkernelize,
} from "../kernelize/mod.ts";
import { siteConversions } from "../kernelize/mod.ts";
import type { DeviceName } from "../tensor/mod.ts";
import { CausalLM } from "./causal_lm.ts";
import { type DecoderConfig, parseDecoderConfig } from "./config.ts";
import { MixtralDecoderLayer } from "./mixtral.ts";

/** What `fromPretrained` may be told. */
export interface PretrainedOptions
  extends Pick<LoadOptions, "strict" | "budget" | "onProgress" | "nonFinite" | "mapping" | "signal"> {
  /**
   * Kernels to put in: a config, or the path or address of a kernels.json. They are checked before a byte of weights is read,
   * and the weights are converted while they load.
   */
  readonly kernels?: KernelConfig | string | URL;
  /**
   * Whether a kernels.json in the model's folder may be used where `kernels` is not given. It names code that would
   * run with your rights, so the answer is yours and not the folder's; false unless told, and then a line says so.
   */
  readonly trust?: boolean;
  /** How kernels are chosen and checked. With `verify`, the model is loaded plain first and converted afterwards. */
  readonly kernelize?: KernelizeOptions;
  /** What floating-point weights become on the device; `f32` unless told. `f16` needs an adapter that has it. */
  readonly dtype?: "f32" | "f16";
  /** Where the model runs; `webgpu` unless told. `reference` computes in float64 on the host, slowly. */
  readonly device?: Exclude<DeviceName, "meta">;
  /** Whether shaders compile while the weights stream in, and the model comes {@linkcode CausalLM.ready}. */
  readonly ready?: boolean;
  /** Allows weights that are links to outside of the folder; links within Hugging Face's cache are always followed. */
  readonly allowLinks?: boolean;
  /** Told of what was loaded, converted and missing. */
  readonly onReport?: (report: LoadReport) => void;
}

/** Builds the modules of a config on the meta device: a tree with shapes and no bytes. */
export function buildCausalLM(config: DecoderConfig): CausalLM {
  return config.model_type === "mixtral"
    ? new CausalLM(config, (i) => new MixtralDecoderLayer(config, i))
    : new CausalLM(config);
}

/**
 * Loads a causal language model from a folder in Hugging Face format.
 *
 * @param dir A path, an address (`https://…`; in a page, paths are addresses relative to its own), the files that a user
 * picked, or any {@linkcode Folder}.
 * @param types The model types that are allowed; any known one unless told.
 * @throws KW-MODEL-TYPE, KW-CONFIG-VALUE, KW-CHECKPOINT-…, and what kernelize throws. Nothing half-loaded remains.
 */
export async function loadCausalLM(
  dir: FolderLocation,
  options: PretrainedOptions = {},
  types?: readonly string[],
): Promise<CausalLM> {
  throwIfAborted(options.signal, "loading");
  const config = await readConfig(dir, types);
  throwIfAborted(options.signal, "loading");
  const model = buildCausalLM(config);
  if (options.dtype) model.to(options.dtype);
  const device = options.device ?? "webgpu";
  if (device === "webgpu") await openGpu();
  else if (options.kernels !== undefined) {
    raise(
      "KW-TENSOR-DEVICE",
      "Cannot put kernels into a model on the reference device: they are shaders",
      'Load it with device: "webgpu".',
    );
  }
  const kernels = await readKernels(openFolder(dir, { allowLinks: true }), options);
  const late = options.kernelize?.verify !== undefined;
  if (kernels && !late) await kernelize(model, kernels.config, { base: kernels.base, ...options.kernelize });
  const early = options.ready && device === "webgpu" ? model.ready() : undefined;
  early?.catch(() => {}); // told below, unless loading fails first
  try {
    const checkpoint = await openCheckpoint(dir, { allowLinks: options.allowLinks });
    try {
      const report = await loadCheckpoint(model, checkpoint, {
        device,
        dtype: options.dtype,
        conversions: siteConversions(model),
        mapping: options.mapping,
        strict: options.strict,
        budget: options.budget,
        onProgress: options.onProgress,
        nonFinite: options.nonFinite,
        signal: options.signal,
      });
      options.onReport?.(report);
    } finally {
      await checkpoint.close();
    }
    if (kernels && late) await kernelize(model, kernels.config, { base: kernels.base, ...options.kernelize });
    await early;
    if (early) await model.ready(); // and now with weights
    return model.eval();
  } catch (error) {
    await early?.catch(() => {}); // it still looks at the modules
    unkernelize(model);
    model.dispose();
    throw error;
  }
}

/** Reads and checks a folder's config.json. */
export async function readConfig(
  dir: FolderLocation,
  types: readonly string[] = MODEL_TYPES,
): Promise<DecoderConfig> {
  const folder = openFolder(dir, { allowLinks: true });
  const file = joinFile(folder.name, "config.json");
  const missing = (cause?: unknown) =>
    raise(
      "KW-MODEL-TYPE",
      `Cannot read ${JSON.stringify(file)}`,
      "Give a folder in Hugging Face format, with config.json and the weights.",
      { file },
      cause,
    );
  const text = await readText(folder, "config.json").catch(missing) ?? missing();
  const json = parseJson(text, file);
  const type = typeof json === "object" && json !== null
    ? (json as { model_type?: unknown }).model_type
    : undefined;
  if (typeof type !== "string" || !types.includes(type)) {
    const near = typeof type === "string" ? closest(type, types) : undefined;
    raise(
      "KW-MODEL-TYPE",
      `Cannot load a model of type ${JSON.stringify(type)}`,
      `Known here: ${types.join(", ")}.${near ? ` Did you mean "${near}"?` : ""}`,
      {
        file,
        json: "model_type",
      },
    );
  }
  return parseDecoderConfig(json, file);
}

/** Reads a kernels.json at a path or an address. */
export async function readKernelConfig(path: string | URL): Promise<{ config: KernelConfig; base: URL }> {
  const place = locate(path);
  const file = String(place);
  const missing = (cause?: unknown) =>
    raise(
      "KW-CONFIG-KERNELS",
      `Cannot read the kernel config ${JSON.stringify(file)}`,
      "Give the path of a kernels.json.",
      { file },
      cause,
    );
  const isUrl = place instanceof URL;
  const source = await (isUrl ? urlSource(place) : fileSource(place)).catch(missing) ?? missing();
  const config = parseKernelConfig(parseJson(await textOf(source), file), file);
  return { config, base: isUrl ? place : fileUrlOfPath(place) };
}

// ---------------------------------------------------------------------------

const OWN_KERNELS = "kernels.json";
const MODEL_TYPES = ["llama", "mistral", "qwen2", "qwen3", "mixtral"];

async function readKernels(
  folder: Folder,
  options: PretrainedOptions,
): Promise<{ config: KernelConfig; base?: URL } | undefined> {
  const { kernels, device, trust } = options;
  if (typeof kernels === "string" || kernels instanceof URL) return await readKernelConfig(kernels);
  if (kernels) return { config: kernels };
  const text = device === "reference" ? undefined : await readText(folder, OWN_KERNELS);
  if (text === undefined) return undefined;
  const own = joinFile(folder.name, OWN_KERNELS);
  if (trust) {
    return { config: parseKernelConfig(parseJson(text, own), own), base: folder.urlOf?.(OWN_KERNELS) };
  }
  console.warn(`${own} was not used: pass { trust: true } if you trust the code that it names`);
  return undefined;
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    raise(
      "KW-CONFIG-VALUE",
      `Cannot read ${JSON.stringify(file)} as JSON: ${(cause as Error).message}`,
      undefined,
      { file },
      cause,
    );
  }
}
