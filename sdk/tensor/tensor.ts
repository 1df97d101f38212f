import { refuseArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import { checkDTypeName, type DType, DTYPES, type TensorData } from "./dtype.ts";
import { metaBackend, MetaStorage } from "./meta.ts";
import { adopt, forget } from "./scope.ts";
import {
  byteLength,
  checkShape,
  checkSpec,
  formatShape,
  formatSpec,
  numel,
  type Shape,
  type TensorSpec,
} from "./shape.ts";
import { backendOf, type DeviceName, Storage } from "./storage.ts";
import { currentTracer } from "./tracer.ts";
import { flatten, hostBytes, impliedDType, type TensorValues, toTyped } from "./values.ts";

/** How a tensor is made. */
export interface TensorOptions {
  /** The element type; defaults to what the array given implies, else to `f32`. */
  readonly dtype?: DType;
  /** The device; `webgpu`. While a forward is traced, always `meta`. */
  readonly device?: DeviceName;
  /** A name for errors and memory listings. */
  readonly name?: string;
}

/**
 * An n-dimensional array: contiguous, row-major, of one dtype, on one device.
 *
 * Operators are recorded, not waited for: only {@linkcode Tensor.data} waits.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([[1, 2], [3, 4]]); // f32 [2, 2]
 * using halves = Tensor.zeros([8], { dtype: "f16" });
 * assertEquals([halves.size, x.shape, [...await x.data()]], [8, [2, 2], [1, 2, 3, 4]]);
 * ```
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
    if (!(storage instanceof Storage)) refuseArgument("new Tensor(): storage", storage, "a Storage");
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
    if (device === "meta") return Tensor.empty(this.#shape, { dtype: this.#dtype, device, name: this.name });
    backendOf(device);
    const data = await this.data();
    // Not by from(): the values are what a device gave, and none of them is anybody's mistake.
    const own = DTYPES[this.#dtype].float && data instanceof Float64Array ? toTyped(data, this.#dtype) : data;
    return upload(this, own, device, this.name);
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
    if (!(source instanceof Tensor)) refuseArgument("takeStorage(): source", source, "a Tensor");
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
   * Nested arrays give their own shape; a flat typed array takes `options.shape` (default: one dimension). Every value
   * must be one that the dtype holds: integers are whole and in range, `bool` is true, false, 1 or 0, and floats are
   * any number, rounded to the nearest and infinite where the dtype ends. 64-bit integers are taken where they fit an
   * integer dtype: `i32` (`u32` for a `BigUint64Array`) by default. An array of the dtype's own kind is taken as it is.
   *
   * @throws KW-TENSOR-DATA when values do not fit the shape or the dtype, KW-TENSOR-SHAPE, KW-TENSOR-DTYPE, KW-GPU-NONE
   * when no device was opened.
   */
  static from(values: TensorValues, options: TensorOptions & { readonly shape?: Shape } = {}): Tensor {
    checkOptions("Tensor.from()", options);
    const dtype = options.dtype ?? impliedDType(values);
    checkDTypeName(dtype);
    const flat = flatten(values, options.name);
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
    const data = toTyped(flat.data, dtype, shape, options.name);
    return upload({ shape, dtype }, data, options.device, options.name);
  }

  /** A tensor with unspecified values. */
  static empty(shape: Shape, options: TensorOptions = {}): Tensor {
    checkOptions("Tensor.empty()", options);
    const spec = { shape, dtype: options.dtype ?? "f32" };
    checkSpec(spec);
    const backend = currentTracer() ? metaBackend : backendOf(options.device ?? "webgpu");
    return new Tensor(spec, backend.allocate(spec, options.name), options.name);
  }

  /** A tensor of zeros. */
  static zeros(shape: Shape, options: TensorOptions = {}): Tensor {
    checkOptions("Tensor.zeros()", options);
    const spec = { shape, dtype: options.dtype ?? "f32" };
    checkSpec(spec);
    const data = DTYPES[spec.dtype].array(hostBytes(byteLength(spec), options.name));
    return upload(spec, data, options.device, options.name);
  }
}

// ---------------------------------------------------------------------------

function upload(spec: TensorSpec, data: TensorData, device: DeviceName = "webgpu", name?: string): Tensor {
  const backend = currentTracer() ? metaBackend : backendOf(device);
  return new Tensor(spec, backend.upload(spec, data, name), name);
}

function checkOptions(at: string, options: TensorOptions): void {
  if (typeof options !== "object" || options === null) refuseArgument(`${at}: options`, options, "an object");
  const { name } = options;
  if (name !== undefined && typeof name !== "string") refuseArgument(`${at}: name`, name, "a string");
}

function resolveReshape(t: Tensor, shape: Shape): number[] {
  if (!Array.isArray(shape)) refuseArgument("reshape(): shape", shape, "an array of sizes");
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
