import { raise } from "../errors.ts";
import { type DType, DTYPES, type TensorData } from "./dtype.ts";
import { metaBackend, MetaStorage } from "./meta.ts";
import { adopt, forget } from "./scope.ts";
import { checkShape, formatShape, formatSpec, numel, type Shape, type TensorSpec } from "./shape.ts";
import { backendOf, type DeviceName, type Storage } from "./storage.ts";
import { currentTracer } from "./tracer.ts";

/** How a tensor is made. */
export interface TensorOptions {
  /** The element type; `f32` unless told, or what the array given implies. */
  readonly dtype?: DType;
  /** The device; `webgpu` unless told. While a forward is traced, always `meta`. */
  readonly device?: DeviceName;
  /** A name for errors and memory listings. */
  readonly name?: string;
}

/** Values for {@linkcode Tensor.from}: a typed array or nested arrays of numbers. */
export type TensorValues = TensorData | readonly NestedNumbers[] | number;

/** A number, or arrays of numbers to any depth. */
export type NestedNumbers = number | boolean | readonly NestedNumbers[];

/**
 * An n-dimensional array: contiguous, row-major, of one dtype, on one device.
 *
 * Operators are recorded, not waited for: only {@linkcode Tensor.data} waits.
 */
export class Tensor implements TensorSpec {
  /** A name for errors and memory listings. */
  name?: string;
  readonly #shape: Shape;
  readonly #size: number;
  #dtype: DType;
  #storage: Storage;
  #held = true;

  /** Wraps a storage; the tensor owns one count of it. Use {@linkcode Tensor.from} or `empty` instead. */
  constructor(spec: TensorSpec, storage: Storage, name?: string) {
    this.#shape = Object.freeze([...spec.shape]);
    this.#size = numel(spec.shape);
    this.#dtype = spec.dtype;
    this.#storage = storage;
    this.name = name;
    adopt(this, storage.backend !== metaBackend);
  }

  /** The sizes of the dimensions, outermost first. */
  get shape(): Shape {
    return this.#shape;
  }

  /** The element type. */
  get dtype(): DType {
    return this.#dtype;
  }

  /** Where the values are. */
  get device(): DeviceName {
    return this.#storage.backend.device;
  }

  /** The number of dimensions. */
  get rank(): number {
    return this.#shape.length;
  }

  /** The number of elements. */
  get size(): number {
    return this.#size;
  }

  /** Whether {@linkcode Tensor.dispose} was called, or the scope that made it has ended. */
  get released(): boolean {
    return !this.#held || this.#storage.released;
  }

  /**
   * The memory behind the tensor.
   *
   * @throws KW-TENSOR-RELEASED
   */
  get storage(): Storage {
    if (this.released) {
      raise(
        "KW-TENSOR-RELEASED",
        `Cannot use ${this.describe()}: its memory has been released`,
        "Return it from the scope or forward that made it, or call keep() on it there.",
        { tensor: this.name },
      );
    }
    return this.#storage;
  }

  /** `"name" f32 [2, 3]`, as messages show it. */
  describe(): string {
    return (this.name ? `${JSON.stringify(this.name)} ` : "a tensor ") + formatSpec(this);
  }

  /**
   * The values, in row-major order, after everything recorded so far has run.
   *
   * On the reference device floats come as `Float64Array`, except `bf16`: that is raw bits in a `Uint16Array` on
   * every device, as {@linkcode Tensor.from} takes it.
   *
   * @throws KW-TENSOR-META on the meta device, and whatever went wrong on the GPU.
   */
  data(): Promise<TensorData> {
    const storage = this.storage;
    if (currentTracer()) return metaBackend.read(storage, this); // throws: nothing has values while tracing
    return storage.backend.read(storage, this);
  }

  /**
   * The same values under another shape; no copy. One size may be -1: it is worked out.
   *
   * @throws KW-TENSOR-SHAPE when the number of elements differs.
   */
  reshape(shape: Shape): Tensor {
    const target = resolveReshape(this, shape);
    const tracer = currentTracer();
    // A trace outlives the scopes in it, so it must not hold real memory; a meta value keeps its identity.
    const storage = tracer && this.device !== "meta" ? new MetaStorage(this.storage) : this.storage.retain();
    const out = new Tensor({ shape: target, dtype: this.#dtype }, storage, this.name);
    tracer?.op("reshape", [this], [out]);
    return out;
  }

  /** A copy on another device. */
  async to(device: DeviceName): Promise<Tensor> {
    const options = { dtype: this.#dtype, device, name: this.name };
    if (device === "meta") return Tensor.empty(this.#shape, options);
    const data = await this.data();
    return Tensor.from(
      this.#dtype === "f32" && data instanceof Float64Array ? Float32Array.from(data) : data,
      {
        ...options,
        shape: this.#shape,
      },
    );
  }

  /**
   * Releases the memory (unless a reshape still shares it). Calling it twice does nothing, and neither does calling
   * it in a forward that is being traced: a trace only looks.
   */
  dispose(): void {
    if (currentTracer()) return;
    forget(this);
    this.#release();
  }

  /** Lets `using` statements dispose the tensor. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Takes over the storage and dtype of `source`, which is left released. For parameters being filled. */
  protected takeStorage(source: Tensor): void {
    const taken = source.storage.retain();
    source.dispose();
    this.#release();
    [this.#storage, this.#dtype, this.#held] = [taken, source.dtype, true];
  }

  /** Gives the memory back and becomes a meta tensor of the same shape. */
  protected toMeta(dtype: DType = this.#dtype): void {
    this.#release();
    [this.#storage, this.#dtype, this.#held] = [new MetaStorage(), dtype, true];
  }

  // A reshape holds a count of its own, so each tensor gives back exactly one.
  #release(): void {
    if (this.#held) this.#storage.release();
    this.#held = false;
  }

  /**
   * A tensor with the given values.
   *
   * Nested arrays give their own shape; a flat typed array takes `options.shape` (default: one dimension).
   *
   * @throws KW-TENSOR-DATA when values and shape disagree, KW-GPU-NONE when no device was opened.
   */
  static from(values: TensorValues, options: TensorOptions & { readonly shape?: Shape } = {}): Tensor {
    const dtype = options.dtype ?? impliedDType(values);
    const flat = typeof values === "number" ? { data: [values], shape: [] } : flatten(values);
    const shape = options.shape ?? flat.shape;
    checkShape(shape);
    if (flat.data.length !== numel(shape)) {
      raise(
        "KW-TENSOR-DATA",
        `Cannot make a tensor of shape ${formatShape(shape)} from ${flat.data.length} values`,
        `That shape has ${numel(shape)} elements.`,
        { tensor: options.name },
      );
    }
    const spec = { shape, dtype };
    const backend = currentTracer() ? metaBackend : backendOf(options.device ?? "webgpu");
    return new Tensor(spec, backend.upload(spec, toTyped(flat.data, dtype), options.name), options.name);
  }

  /** A tensor with unspecified values. */
  static empty(shape: Shape, options: TensorOptions = {}): Tensor {
    checkShape(shape);
    const spec = { shape, dtype: options.dtype ?? "f32" };
    const backend = currentTracer() ? metaBackend : backendOf(options.device ?? "webgpu");
    return new Tensor(spec, backend.allocate(spec, options.name), options.name);
  }

  /** A tensor of zeros. */
  static zeros(shape: Shape, options: TensorOptions = {}): Tensor {
    checkShape(shape);
    const dtype = options.dtype ?? "f32";
    const data = DTYPES[dtype].array(new ArrayBuffer(numel(shape) * DTYPES[dtype].bytes));
    return Tensor.from(data, { ...options, dtype, shape });
  }
}

// ---------------------------------------------------------------------------

function resolveReshape(t: Tensor, shape: Shape): number[] {
  const unknown = shape.filter((d) => d === -1).length;
  const known = numel(shape.filter((d) => d !== -1));
  const target = shape.map((d) => d === -1 && known > 0 ? t.size / known : d);
  if (unknown > 1 || numel(target) !== t.size || !target.every((d) => Number.isInteger(d) && d >= 0)) {
    raise(
      "KW-TENSOR-SHAPE",
      `Cannot reshape ${t.describe()} to ${formatShape(shape)}`,
      `The number of elements must stay ${t.size}${unknown > 1 ? ", and only one size may be -1" : ""}.`,
    );
  }
  return target;
}

function impliedDType(values: TensorValues): DType {
  if (values instanceof Int32Array) return "i32";
  if (values instanceof Uint32Array) return "u32";
  if (values instanceof Uint8Array) return "u8";
  if (values instanceof Uint16Array) return "bf16";
  if (values instanceof Float16Array) return "f16";
  return "f32";
}

function flatten(values: Exclude<TensorValues, number>): { data: ArrayLike<number>; shape: number[] } {
  if (ArrayBuffer.isView(values)) return { data: values, shape: [values.length] };
  const shape: number[] = [];
  for (let level: NestedNumbers = values; Array.isArray(level); level = level[0]) shape.push(level.length);
  const data: number[] = [];
  const walk = (level: NestedNumbers, depth: number) => {
    const length = Array.isArray(level) ? level.length : undefined;
    if (length !== shape[depth]) {
      raise(
        "KW-TENSOR-DATA",
        "Cannot make a tensor from nested arrays of uneven length",
        "Make every row equally long.",
      );
    }
    if (Array.isArray(level)) { for (const inner of level) walk(inner, depth + 1); }
    else data.push(Number(level));
  };
  walk(values, 0);
  return { data, shape };
}

function toTyped(data: ArrayLike<number>, dtype: DType): TensorData {
  const typed = DTYPES[dtype].array(new ArrayBuffer(data.length * DTYPES[dtype].bytes));
  if (data.constructor === typed.constructor) return data as TensorData;
  if (dtype === "bf16") {
    raise("KW-TENSOR-DATA", "Cannot make a bf16 tensor from numbers", "Give its raw bits as a Uint16Array.");
  }
  typed.set(data);
  return typed;
}
