import type { ConversionRule } from "../authoring/mod.ts";
import type { Module } from "../nn/mod.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { TensorEntry } from "./safetensors/header.ts";

/** What a model was loaded from: with it, saving gives the same files back. */
export interface Origin {
  /** The files: names, headers' bytes, and the tensors in their order. */
  readonly files: readonly OriginFile[];
  /** The index, where there was one. */
  readonly index?: { readonly name: string; readonly bytes: Uint8Array };
  /** The mapping that it was loaded with. */
  readonly mapping: readonly ConversionRule[];
  /** What floating-point tensors were loaded as, where no parameter said otherwise. */
  readonly dtype: "f32" | "f16";
  /** Keys of the files that the model does not have, and that saving copies from them. */
  readonly beside: ReadonlySet<string>;
}

/** One file of an {@linkcode Origin}. */
export interface OriginFile {
  /** Its name inside the folder. */
  readonly name: string;
  /** Its tensors, in the order of their bytes. */
  readonly tensors: readonly TensorEntry[];
  /** The strings under `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string> | undefined;
  /** Its header's bytes, with the 8 of their length. */
  readonly raw: Uint8Array;
}

/**
 * What a model was loaded from, if it was.
 *
 * See the example of {@linkcode loadCheckpoint}.
 */
export function originOf(model: Module): Origin | undefined {
  return origins.get(model);
}

/** Remembers what a model was loaded from. */
export function setOrigin(
  model: Module,
  checkpoint: Checkpoint,
  mapping: readonly ConversionRule[],
  dtype: "f32" | "f16",
  beside: Iterable<string> = [],
): void {
  origins.set(model, {
    files: checkpoint.files.map(({ name, header }) => ({
      name,
      tensors: [...header.tensors.values()],
      metadata: header.metadata,
      raw: header.raw,
    })),
    index: checkpoint.index,
    mapping,
    dtype,
    beside: new Set(beside),
  });
}

// ---------------------------------------------------------------------------

const origins = new WeakMap<Module, Origin>();
