import { throwIfAborted } from "../../abort.ts";
import { checkArgument, checkInstance, checkOptions, type OptionNames } from "../../arguments.ts";
import { raise } from "../../errors.ts";
import { openedGpu } from "../../gpu/mod.ts";
import { Module } from "../../nn/mod.ts";
import { keep, type Tensor } from "../../tensor/mod.ts";
import { inTurn, recover, replaceFiles, type WriteAt } from "../source/atomic.ts";
import { isMissing, joinFile, messageOf } from "../../host/mod.ts";
import type { Group } from "../plan/groups.ts";
import { fileBytes, type PlannedTensor } from "../safetensors/header_writer.ts";
import { type Origin, originOf } from "../origin.ts";
import type { TensorEntry } from "../safetensors/header.ts";
import type { SiteConversion } from "../plan/plan.ts";
import type { Value } from "../plan/value.ts";
import { planSave, type SavePlan } from "./plan.ts";
import { INDEX_NAME, readShardIndex } from "../safetensors/shard_index.ts";
import { namesOf, parseSize, planFiles, type PlannedFiles } from "./shards.ts";
import { fileSource, type Source } from "../source/source.ts";
import { tensorBytes } from "../safetensors/tensor_bytes.ts";

/** A file that is saved together with the weights. */
export interface ExtraFile {
  /** Its name in the folder. */
  readonly name: string;
  /** Its bytes, or where they are read from; a source is read before anything is replaced, and not closed. */
  readonly from: Uint8Array | Source;
}

/** How a model is saved. */
export interface SaveOptions {
  /** Files that go into place together with the weights, such as config.json. */
  readonly extra?: readonly ExtraFile[];
  /** Names of files that must not be in the folder afterwards; those of `extra` stay. */
  readonly remove?: readonly string[];
  /** Stops the save before its next tensor; the folder is as it was. */
  readonly signal?: AbortSignal;
  /** What the swapped sites do: it is reversed. */
  readonly conversions?: readonly SiteConversion[];
  /** The largest file, in bytes or as `"5GB"`. Defaults to the files that the model was loaded from, or one. */
  readonly maxShardSize?: number | string;
  /** What the model was loaded from; defaults to what the loader remembers. False: save it as it is. */
  readonly origin?: Origin | false;
}

const OPTIONS: OptionNames<SaveOptions> = {
  conversions: true,
  extra: true,
  maxShardSize: true,
  origin: true,
  remove: true,
  signal: true,
};

/** What saving did. */
export interface SaveReport {
  /** The files' names. */
  readonly files: readonly string[];
  /** How many tensors they have. */
  readonly tensors: number;
  /** The bytes of the tensors. */
  readonly bytes: number;
  /** Keys that the model was loaded from and does not have: they are not in the new files. */
  readonly leftOut: readonly string[];
  /** Keys that were loaded as a narrower dtype, so that their bits may differ from the original's. */
  readonly rounded: readonly string[];
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/**
 * Saves a model as the checkpoint that it was loaded from: conversions are reversed, and keys, dtypes, tied weights,
 * metadata and order are the original's. What was not changed comes out byte by byte the same.
 *
 * Everything goes into place together: the files are written beside those that are there, and on any error the folder
 * is as it was. Where the process ends in between, the folder loads as the old checkpoint or as the new one, and the next
 * save clears up. Saves of one process wait for each other; two processes must not save into one at a time.
 *
 * @throws KW-CONVERT-NO-REVERSE, KW-CHECKPOINT-WRITE, KW-CHECKPOINT-OPTION, KW-ABORTED
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { saveCheckpoint } from "@kernelwright/sdk/checkpoint";
 * import { RMSNorm } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using norm = new RMSNorm(2);
 * norm.loadStateDict({ weight: Tensor.from([1, 2]) });
 * const report = await saveCheckpoint(norm, "./saved-norm");
 * assertEquals([report.files, report.bytes], [["model.safetensors"], 8]);
 * ```
 */
export async function saveCheckpoint(
  model: Module,
  folder: string,
  options: SaveOptions = {},
): Promise<SaveReport> {
  checkInstance("saveCheckpoint(): model", model, Module);
  checkArgument("saveCheckpoint(): folder", folder, "a string");
  checkOptions("saveCheckpoint(): options", options, OPTIONS);
  throwIfAborted(options.signal, "saving");
  return await inTurn(() => save(model, folder, options));
}

// ---------------------------------------------------------------------------

async function save(model: Module, folder: string, options: SaveOptions): Promise<SaveReport> {
  const start = performance.now();
  const { extra = [], remove = [], signal } = options;
  throwIfAborted(signal, "saving"); // while it waited
  const origin = options.origin === false ? undefined : options.origin ?? originOf(model);
  const plan = planSave(model, options.conversions ?? [], origin);
  const most = options.maxShardSize === undefined ? undefined : parseSize(options.maxShardSize);
  const files = planFiles(plan.tensors, origin, most);
  const weights = namesOf(files);
  const names = [...weights, ...extra.map((e) => e.name)];
  checkNames(names);
  await recover(folder);
  await replaceFiles(folder, {
    names,
    write: async (writeAt) => {
      await new Saving(plan, files, writeAt, signal).run(origin);
      for (const file of extra) await writeExtra(file, writeAt, signal);
      throwIfAborted(signal, "saving");
    },
    remove: [...await oldFiles(folder), ...remove].filter((name) => !names.includes(name)),
  });
  return {
    files: weights,
    tensors: plan.tensors.length,
    bytes: plan.tensors.reduce((n, t) => n + fileBytes(t), 0),
    leftOut: plan.leftOut,
    rounded: plan.rounded,
    ms: Math.round(performance.now() - start),
  };
}

const COPY_BYTES = 4 * 1024 * 1024;

async function writeExtra({ name, from }: ExtraFile, writeAt: WriteAt, signal?: AbortSignal): Promise<void> {
  if (from instanceof Uint8Array) return await writeAt(name, from, 0);
  for (let at = 0; at < from.size;) {
    throwIfAborted(signal, "saving");
    const piece = await from.read(at, COPY_BYTES);
    if (piece.length === 0) {
      raise("KW-CHECKPOINT-TRUNCATED", "The file has become shorter while it was copied", undefined, {
        file: from.name,
      });
    }
    await writeAt(name, piece, at);
    at += piece.length;
  }
}

function checkNames(names: readonly string[]): void {
  const twice = names.find((n, i) => names.indexOf(n) !== i);
  if (twice === undefined) return;
  raise("KW-CHECKPOINT-OPTION", `Two files of the save are called ${JSON.stringify(twice)}`);
}

class Saving {
  readonly #plan: SavePlan;
  readonly #files: PlannedFiles;
  readonly #writeAt: WriteAt;
  readonly #places = new Map<string, { file: string; at: number; tensor: PlannedTensor }>();

  readonly #signal: AbortSignal | undefined;

  constructor(plan: SavePlan, files: PlannedFiles, writeAt: WriteAt, signal?: AbortSignal) {
    [this.#plan, this.#files, this.#writeAt, this.#signal] = [plan, files, writeAt, signal];
    for (const { name, tensors, header } of files.files) {
      let at = header.length;
      for (const tensor of tensors) {
        this.#places.set(tensor.key, { file: name, at, tensor });
        at += fileBytes(tensor);
      }
    }
  }

  async run(origin?: Origin): Promise<void> {
    for (const { name, header } of this.#files.files) await this.#writeAt(name, header, 0);
    if (this.#files.index) await this.#writeAt(INDEX_NAME, this.#files.index, 0);
    // In the order of the files, so that the disk is written from front to back.
    for (const key of this.#places.keys()) {
      const parameter = this.#plan.direct.get(key);
      if (parameter) await this.#put(key, parameter);
    }
    for (const group of this.#plan.groups) await this.#reverse(group);
    for (const { tensors, raw } of origin?.files ?? []) {
      const entries = tensors.filter((e) => this.#plan.copied.includes(e));
      if (entries.length > 0) await this.#copy(entries, raw);
    }
  }

  /** Copies what lies beside the model out of one of the files that it was loaded from. */
  async #copy(entries: readonly TensorEntry[], raw: Uint8Array): Promise<void> {
    const old = entries[0].source;
    const gone = (cause?: unknown): never =>
      raise(
        "KW-CHECKPOINT-WRITE",
        `Cannot save what lies beside the model, such as a head: ${
          cause ? messageOf(cause) : "the file has changed since it was loaded"
        }`,
        "It is read from where the model was loaded. Save with { origin: false } to go without.",
        { file: old.name, key: entries[0].key },
        cause,
      );
    const source = await (old.reopen?.() ?? Promise.resolve(old)).catch(gone);
    try {
      const header = await source.read(0, raw.length);
      if (header.length !== raw.length || header.some((byte, i) => byte !== raw[i])) gone();
      for (const { key, offset, bytes } of entries) {
        const { file, at } = this.#places.get(key)!;
        for (let done = 0; done < bytes;) {
          throwIfAborted(this.#signal, "saving");
          const piece = await source.read(offset + done, Math.min(COPY_BYTES, bytes - done));
          if (piece.length === 0) gone();
          await this.#writeAt(file, piece, at + done);
          done += piece.length;
        }
      }
    } finally {
      if (old.reopen) await source.close?.();
    }
  }

  async #put(key: string, t: Tensor): Promise<void> {
    throwIfAborted(this.#signal, "saving");
    const { file, at, tensor } = this.#places.get(key)!;
    await this.#writeAt(file, await tensorBytes(t, tensor.dtype), at);
  }

  /** Makes the originals of one group, writes them, and frees them. */
  async #reverse(group: Group): Promise<void> {
    const have = new Map<Value, Tensor>();
    try {
      for (const { value, parameter } of group.sinks) {
        if (!have.has(value)) have.set(value, keep(parameter.reshape(parameter.shape)));
      }
      for (const step of [...group.steps].reverse()) {
        const inputs = step.outputs.map((v) => have.get(v) ?? lost(v));
        const made = step.bound.reverse().run(inputs).map((t) => keep(t));
        step.inputs.forEach((v, i) => {
          have.get(v)?.dispose();
          have.set(v, made[i]);
        });
        for (const v of step.outputs) this.#drop(have, v);
        await this.#write(step.inputs, have);
      }
    } finally {
      for (const t of have.values()) t.dispose();
    }
    const gpu = openedGpu();
    if (gpu && gpu.pool.stats().pooledBytes > 64 * 1024 * 1024) gpu.trim();
  }

  async #write(values: readonly Value[], have: Map<Value, Tensor>): Promise<void> {
    for (const v of values) {
      if (!v.entry) continue;
      if (this.#places.has(v.entry.key) && !this.#plan.direct.has(v.entry.key)) {
        await this.#put(v.entry.key, have.get(v)!);
      }
      this.#drop(have, v);
    }
  }

  #drop(have: Map<Value, Tensor>, v: Value): void {
    have.get(v)?.dispose();
    have.delete(v);
  }
}

function lost(value: Value): never {
  raise(
    "KW-CONVERT-NO-REVERSE",
    "Cannot save the model: no parameter has what this conversion made",
    undefined,
    { key: value.name },
  );
}

/** The files of the checkpoint that is in the folder now. */
async function oldFiles(folder: string): Promise<string[]> {
  const names = ["model.safetensors", INDEX_NAME];
  try {
    const source = await fileSource(joinFile(folder, INDEX_NAME));
    const index = await readShardIndex(source).finally(() => source.close?.());
    for (const name of new Set(index.weightMap.values())) names.push(name);
  } catch (error) {
    // An index that cannot be read names nothing that is ours to remove.
    if (!isMissing((error as { cause?: unknown }).cause)) return names;
  }
  return names;
}
