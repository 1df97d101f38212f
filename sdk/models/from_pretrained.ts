import { checkArgument, checkOptions, type OptionNames } from "../arguments.ts";
import { fetchFile, fileUrlOfPath, joinFile } from "../host/mod.ts";
import {
  fileSource,
  type Folder,
  type FolderLocation,
  type FolderOptions,
  loadCheckpoint,
  type LoadOptions,
  type LoadReport,
  locate,
  openCheckpoint,
  openFolder,
  readText,
  textOf,
} from "../checkpoint/mod.ts";
import { throwIfAborted } from "../abort.ts";
import { type ErrorCode, KernelwrightError, raise } from "../errors.ts";
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
import { visibleLine } from "../visible.ts";
import { CausalLM } from "./causal_lm.ts";
import type { CausalLMConfig, DecoderConfig, PretrainedConfig } from "./config.ts";
import { DECODERS, familyOf } from "./families.ts";
import type { Family } from "./family.ts";
import { type GenerationConfig, parseGenerationConfig } from "./generation_config.ts";
import { isOldBuffer } from "./old_keys.ts";
import type { PretrainedModel } from "./pretrained_model.ts";
import { setOtherFiles } from "./other_files.ts";

/** Options of `fromPretrained`. */
export interface PretrainedOptions
  extends Pick<LoadOptions, "strict" | "budget" | "onProgress" | "nonFinite" | "mapping" | "signal"> {
  /**
   * Kernels to put in: a config, or the path or address of a kernels.json. They are checked before a byte of weights is read,
   * and the weights are converted while they load.
   */
  readonly kernels?: KernelConfig | string | URL;
  /**
   * Whether a kernels.json in the model's folder may be used where `kernels` is not given. It names code that would
   * run with your rights, so the answer is yours and not the folder's. Defaults to false, and then a line says so.
   */
  readonly trust?: boolean;
  /** How kernels are chosen and checked. With `verify`, the model is loaded plain first and converted afterwards. */
  readonly kernelize?: KernelizeOptions;
  /** What floating-point weights become on the device; defaults to `f32`. `f16` needs an adapter that has it. */
  readonly dtype?: "f32" | "f16";
  /** Where the model runs; defaults to `webgpu`. `reference` computes in float64 on the host, slowly. */
  readonly device?: Exclude<DeviceName, "meta">;
  /** Whether shaders compile while the weights stream in, and the model comes {@linkcode CausalLM.ready}. */
  readonly ready?: boolean;
  /** Allows files that are links to outside of the folder; links within Hugging Face's cache are always followed. */
  readonly allowLinks?: boolean;
  /** Stops the loading at its next step; nothing half-loaded remains. */
  readonly signal?: AbortSignal;
  /** Told of what was loaded, converted and missing, and of the config's keys that are not known. */
  readonly onReport?: (report: PretrainedReport) => void;
  /**
   * Told once of everything that is no error but should be known: keys of config.json that nothing is known of,
   * buffers of old versions that were left out, a kernels.json that was not used. Printed with console.warn by default.
   */
  readonly onWarning?: (message: string) => void;
}

/** What loading a model did. */
export interface PretrainedReport extends LoadReport {
  /** Keys of config.json that nothing is known of: whether they would change results is not known either. */
  readonly unknownConfigKeys: readonly string[];
}

/**
 * Loads a causal language model from a folder in Hugging Face format.
 *
 * @param dir A path, an address (`https://…`; in a page, paths are addresses relative to its own), the files that a user
 * picked, or any {@linkcode Folder}.
 * @param types The model types that are allowed; defaults to any known one.
 * @throws KW-MODEL-TYPE, KW-CONFIG-VALUE, KW-CHECKPOINT-…, and what kernelize throws. Nothing half-loaded remains.
 *
 * @example
 * ```ts
 * import { loadCausalLM } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * using model = await loadCausalLM("./model", { kernels: "kernels.json" });
 * assertEquals(model.config.model_type, "llama");
 * ```
 */
export async function loadCausalLM(
  dir: FolderLocation,
  options: PretrainedOptions = {},
  types?: readonly string[],
): Promise<CausalLM> {
  if (types !== undefined) checkArgument("loadCausalLM(): types", types, "strings in an array");
  return await loadPretrained(dir, options, ofTypes(DECODERS, types), "loadCausalLM()");
}

/** {@linkcode loadCausalLM} for any kind of model: the families that are allowed say which. */
export async function loadPretrained<C extends PretrainedConfig, M extends PretrainedModel>(
  dir: FolderLocation,
  options: PretrainedOptions,
  families: readonly Family<C, M>[],
  caller = "loadPretrained()",
): Promise<M> {
  checkOptions(`${caller}: options`, options, OPTIONS);
  const { signal } = options;
  throwIfAborted(signal, LOADING);
  const links = { allowLinks: options.allowLinks };
  const { family, config } = await readFamily(dir, families, { ...links, signal });
  const warn = options.onWarning ?? ((message: string) => console.warn(visibleLine(message)));
  const unknownConfigKeys = config.unknown_keys ?? [];
  if (unknownConfigKeys.length > 0) warn(unknownKeysLine(unknownConfigKeys));
  const folder = openFolder(dir, links);
  const reading = openFolder(dir, { ...links, signal }); // and the other one is read again when the model is saved
  const generation = await readGenerationConfig(reading, warn);
  const model = family.build(config);
  if (family.fit) { // before kernels look at it
    await using checkpoint = await openCheckpoint(dir, { ...links, signal });
    family.fit(model, checkpoint.tensors.keys());
  }
  if (model instanceof CausalLM) model.generation_config = generation;
  setOtherFiles(model, folder);
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
  const kernels = await readKernels(reading, options, warn);
  throwIfAborted(signal, LOADING);
  const stop = { signal }; // for each of the stages
  const late = options.kernelize?.verify !== undefined;
  if (kernels && !late) {
    await kernelize(model, kernels.config, { base: kernels.base, ...stop, ...options.kernelize });
  }
  const early = options.ready && device === "webgpu" ? model.ready(stop) : undefined;
  early?.catch(() => {}); // told below, unless loading fails first
  try {
    throwIfAborted(signal, LOADING);
    const checkpoint = await openCheckpoint(dir, { ...links, signal });
    try {
      const report = await loadCheckpoint(model, checkpoint, {
        device,
        dtype: options.dtype,
        conversions: siteConversions(model),
        mapping: options.mapping ?? family.mapping?.(checkpoint.tensors.keys(), config),
        strict: options.strict,
        ignore: (key) => family.isOldBuffer?.(key) ?? false,
        beside: family.beside?.(checkpoint.tensors.keys()),
        budget: options.budget,
        onProgress: options.onProgress,
        nonFinite: options.nonFinite,
        ...stop,
      });
      if (report.ignored.length > 0) {
        warn(`left out ${some(report.ignored)}: buffers of old versions, which are computed here`);
      }
      const heads = report.beside.filter((key) => !isOldBuffer(key));
      if (heads.length > 0) warn(`not read here, and copied when the model is saved: ${some(heads)}`);
      options.onReport?.({ ...report, unknownConfigKeys });
    } finally {
      await checkpoint.close();
    }
    throwIfAborted(signal, LOADING);
    if (kernels && late) {
      await kernelize(model, kernels.config, { base: kernels.base, ...stop, ...options.kernelize });
    }
    await early;
    if (early) await model.ready(stop); // and now with weights
    throwIfAborted(signal, LOADING);
    return model.eval();
  } catch (error) {
    await early?.catch(() => {}); // it still looks at the modules
    model.dispose(); // first, so that nothing can be lost
    unkernelize(model);
    model.dispose();
    throw error;
  }
}

/**
 * Reads and checks the config.json of a decoder's folder. A family with a config of its own (GPT-2): say so by `C`.
 *
 * @example
 * ```ts
 * import { readConfig } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * const config = await readConfig("./model");
 * assertEquals([config.model_type, config.head_dim, config.num_hidden_layers], ["llama", 8, 2]);
 * ```
 */
export async function readConfig<C extends CausalLMConfig = DecoderConfig>(
  dir: FolderLocation,
  types?: readonly string[],
  options: FolderOptions = {},
): Promise<C> {
  if (types !== undefined) checkArgument("readConfig(): types", types, "strings in an array");
  return (await readFamily(dir, ofTypes(DECODERS, types), options)).config as C;
}

/** A folder's family, among those that are allowed, and its config. */
export async function readFamily<C extends PretrainedConfig, M extends PretrainedModel>(
  dir: FolderLocation,
  among: readonly Family<C, M>[],
  options: FolderOptions = {},
): Promise<{ family: Family<C, M>; config: C }> {
  const folder = openFolder(dir, options);
  const file = joinFile(folder.name, "config.json");
  const missing = (cause?: unknown) => {
    const ours = cause instanceof KernelwrightError ? cause : undefined;
    if (ours?.code === "KW-CHECKPOINT-SHARD" || ours?.code === "KW-ABORTED") throw ours; // the first: a link to elsewhere
    return raise(
      "KW-MODEL-TYPE",
      `Cannot read ${JSON.stringify(file)}${ours ? `: ${ours.diagnostic.what}` : ""}`,
      "Give a folder in Hugging Face format, with config.json and the weights.",
      { file },
      cause,
    );
  };
  const text = await readText(folder, "config.json").catch(missing) ?? missing();
  const json = parseJson(text, file);
  const type = typeof json === "object" && json !== null
    ? (json as { model_type?: unknown }).model_type
    : undefined;
  const family = familyOf(type, among, file);
  return { family, config: family.read(json as Record<string, unknown>, file) };
}

/**
 * Reads a kernels.json at a path or an address.
 *
 * @returns The config, and where its relative references start: at the file. Where an address was redirected that is
 * the place where the file was found in the end, as with modules.
 * @throws KW-CONFIG-KERNELS, KW-CONFIG-VALUE; KW-REF-LIMIT and KW-REF-ESCAPES for an address whose server is too slow,
 * sends too much, or redirects to where it must not; KW-ABORTED.
 *
 * @example
 * ```ts
 * import { kernelize } from "@kernelwright/sdk";
 * import { loadCausalLM, readKernelConfig } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * using model = await loadCausalLM("./model");
 * const { config, base } = await readKernelConfig("kernels.json");
 * const report = await kernelize(model, config, { base });
 * assertEquals(report.at("model.norm")?.kernel, "FastNorm");
 * ```
 */
export async function readKernelConfig(
  path: string | URL,
  signal?: AbortSignal,
): Promise<{ config: KernelConfig; base: URL }> {
  checkArgument("readKernelConfig(): path", path, "a string or a URL");
  const place = locate(path);
  const file = String(place);
  const missing = (cause?: unknown): never => {
    throwIfAborted(signal, "reading the kernel config");
    if (
      cause instanceof KernelwrightError && cause.code.startsWith("KW-REF-") && cause.code !== "KW-REF-FETCH"
    ) throw cause;
    return raise(
      "KW-CONFIG-KERNELS",
      `Cannot read the kernel config ${JSON.stringify(file)}`,
      "Give the path of a kernels.json.",
      { file },
      cause,
    );
  };
  const isUrl = place instanceof URL;
  const { text, base } = isUrl
    ? await fetchFile(place, KERNELS_LIMITS, { plain: true, signal }).then(
      ({ bytes, address }) => ({ text: new TextDecoder().decode(bytes), base: address }),
      missing,
    )
    : { text: await textOfFile(place, missing), base: fileUrlOfPath(place) };
  return { config: parseKernelConfig(parseJson(text, file), file), base };
}

/** A line that names a config's unknown keys. */
export function unknownKeysLine(keys: readonly string[]): string {
  return `config.json has ${
    keys.length > 1 ? "keys that are" : "a key that is"
  } not known here, and may mean other results: ${some(keys)}`;
}

// ---------------------------------------------------------------------------

function ofTypes<F extends Family>(families: readonly F[], types?: readonly string[]): readonly F[] {
  return types ? families.map((f) => ({ ...f, types: f.types.filter((t) => types.includes(t)) })) : families;
}

/** Names as JSON, so that what a file says cannot steer a terminal. */
function some(names: readonly string[]): string {
  const shown = names.slice(0, 8).map((n) => JSON.stringify(n.length > 80 ? `${n.slice(0, 77)}…` : n)).join(
    ", ",
  );
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}

const OPTIONS: OptionNames<PretrainedOptions> = {
  allowLinks: true,
  budget: true,
  device: true,
  dtype: true,
  kernelize: true,
  kernels: true,
  mapping: true,
  nonFinite: true,
  onProgress: true,
  onReport: true,
  onWarning: true,
  ready: true,
  signal: true,
  strict: true,
  trust: true,
};
const OWN_KERNELS = "kernels.json";
const LOADING = "loading the model";

/** Far more than a kernels.json is. */
const KERNELS_LIMITS = { maxBytes: 4 * 1024 * 1024 };

async function textOfFile(path: string, missing: (cause?: unknown) => never): Promise<string> {
  const source = await fileSource(path).catch(missing) ?? missing();
  if (source.size <= KERNELS_LIMITS.maxBytes) return await textOf(source).catch(missing);
  await source.close?.();
  return raise(
    "KW-REF-LIMIT",
    `The kernel config is larger than ${KERNELS_LIMITS.maxBytes} bytes (${source.size})`,
    "Give the path of a kernels.json.",
    { file: path },
  );
}

async function readKernels(
  folder: Folder,
  options: PretrainedOptions,
  warn: (message: string) => void,
): Promise<{ config: KernelConfig; base?: URL } | undefined> {
  const { kernels, device, trust } = options;
  if (typeof kernels === "string" || kernels instanceof URL) {
    return await readKernelConfig(kernels, options.signal);
  }
  if (kernels) return { config: kernels };
  const text = device === "reference" ? undefined : await readText(folder, OWN_KERNELS);
  if (text === undefined) return undefined;
  const own = joinFile(folder.name, OWN_KERNELS);
  if (trust) {
    return { config: parseKernelConfig(parseJson(text, own), own), base: folder.urlOf?.(OWN_KERNELS) };
  }
  warn(`${visibleLine(own)} was not used: pass { trust: true } if you trust the code that it names`);
  return undefined;
}

/** What nobody knows is said once, at loading; what is not supported is an error of `generate`. */
async function readGenerationConfig(
  folder: Folder,
  warn: (message: string) => void,
): Promise<GenerationConfig | undefined> {
  const text = await readText(folder, "generation_config.json");
  if (text === undefined) return undefined;
  const file = joinFile(folder.name, "generation_config.json");
  const config = parseGenerationConfig(parseJson(text, file, "KW-GENERATE-CONFIG"), file);
  if (config.unknown.length > 0) {
    warn(
      `${visibleLine(file)}: not known, and without effect: ${
        config.unknown.map((k) => JSON.stringify(k)).join(", ")
      }`,
    );
  }
  return config;
}

function parseJson(text: string, file: string, code: ErrorCode = "KW-CONFIG-VALUE"): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    raise(
      code,
      `Cannot read ${JSON.stringify(file)} as JSON: ${(cause as Error).message}`,
      undefined,
      { file },
      cause,
    );
  }
}
