/** A tensor on its way from a file to a parameter, and the steps in between. */
import type { BoundRule } from "../../authoring/mod.ts";
import type { DType, Parameter, Shape, TensorSpec } from "../../tensor/mod.ts";
import { loadedDType } from "../safetensors/codec.ts";
import type { FileDType } from "../safetensors/file_dtype.ts";

/** What a plan must know of a tensor in a file. */
export interface CatalogEntry {
  /** Its key. */
  readonly key: string;
  /** Its dtype in the file. */
  readonly dtype: FileDType;
  /** Its shape. */
  readonly shape: Shape;
}

/** A parameter under its path in the original tree, which is its key. */
export interface KeyedParameter {
  /** The path. */
  readonly key: string;
  /** The parameter. */
  readonly parameter: Parameter;
}

/** A tensor on its way: from a file, or made by a step. */
export interface Value {
  /** Its key at this point of the way. */
  readonly name: string;
  /** Its shape and dtype once loaded. */
  readonly spec: TensorSpec;
  /** The tensor in the file; undefined where a step makes it. */
  readonly entry?: CatalogEntry;
}

/** A conversion, placed between values. */
export interface Step {
  /** The conversion. */
  readonly bound: BoundRule;
  /** What it reads. */
  readonly inputs: readonly Value[];
  /** What it makes. */
  readonly outputs: readonly Value[];
  /** The site that it belongs to. */
  readonly site?: string;
  /** The original modules' parameters behind the inputs. */
  readonly sources?: readonly KeyedParameter[];
}

/** `BF16 [2, 3]`, as messages show a tensor of a file. */
export function formatEntry(entry: CatalogEntry): string {
  return `${entry.dtype} [${entry.shape.join(", ")}]`;
}

/** The same tensor of a file, loaded as another dtype. */
export function as(value: Value, dtype: DType): Value {
  return dtype === value.spec.dtype ? value : { ...value, spec: { shape: value.spec.shape, dtype } };
}

/** What a file's tensor is loaded as where no parameter says. */
export function loadedSpec(entry: CatalogEntry, float: DType): TensorSpec {
  return { shape: entry.shape, dtype: loadedDType(entry.dtype, float) ?? float };
}
