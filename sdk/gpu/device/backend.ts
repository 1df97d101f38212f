import { raise } from "../../errors.ts";
import {
  type Backend,
  byteLength,
  DTYPES,
  formatSpec,
  Storage,
  type TensorData,
  type TensorSpec,
} from "../../tensor/mod.ts";
import type { GpuCore } from "./core.ts";
import { type Linked, LiveList } from "./live_list.ts";
import type { GpuBuffer } from "../memory/buffer.ts";
import type { ShaderVariant } from "../shader/shader.ts";

/** Watches new tensors for writes behind their end; for tests. */
export interface Guard {
  /** Extra bytes to allocate behind a tensor. */
  readonly zone: number;
  /** Watches what lies behind `bytes` of a new storage. */
  adopt(storage: GpuStorage, bytes: number): void;
  /** Told of a write by the host, or a copy to the tensor's end: both come in whole words. */
  wholeWords(storage: GpuStorage): void;
  /** Keeps the buffer of a storage that is gone, if it was watched. */
  retire(storage: GpuStorage): boolean;
  /** The size to bind, where `exact` bytes are the tensor's. */
  boundSize(storage: GpuStorage, exact: number, variant: ShaderVariant, name: string): number;
}

/** A tensor's memory on the GPU: one pooled buffer. */
export class GpuStorage extends Storage implements Linked<GpuStorage> {
  /** The device that it belongs to. */
  override readonly backend: GpuBackend;
  /** The buffer. */
  readonly buffer: GpuBuffer;
  /** The line that made it, while {@linkcode traceAllocations} is on. */
  readonly madeAt?: string;
  /** The tensor's name, for listings. */
  readonly label?: string;
  /** The one before in the list of those that are alive; the list's own. */
  older: GpuStorage | undefined = undefined;
  /** The one behind. */
  newer: GpuStorage | undefined = undefined;

  /** Takes over `buffer`. */
  constructor(backend: GpuBackend, buffer: GpuBuffer, label?: string, madeAt?: string) {
    super();
    this.backend = backend;
    this.buffer = buffer;
    this.label = label;
    this.madeAt = madeAt;
  }

  /** Gives the memory back. */
  protected override free(): void {
    this.backend.forget(this);
  }
}

/** Tensors on a WebGPU device. */
export class GpuBackend implements Backend {
  /** Always `webgpu`. */
  readonly device = "webgpu";
  /** The device. */
  readonly gpu: GpuCore;
  /** Every storage that is alive. */
  readonly live: LiveList<GpuStorage> = new LiveList();
  /** Whether each allocation remembers the line that made it. */
  traceAllocations = false;
  /** Puts guard zones behind new tensors, while a test has one. */
  guard?: Guard;
  /** How often values were asked for since the device was opened. */
  reads = 0;
  readonly #mostBytes: number;

  /**
   * Makes one.
   *
   * @param gpu The device.
   */
  constructor(gpu: GpuCore) {
    this.gpu = gpu;
    const { maxStorageBufferBindingSize, maxBufferSize } = gpu.limits;
    this.#mostBytes = Math.min(maxStorageBufferBindingSize, maxBufferSize);
  }

  /** Memory with unspecified content. */
  allocate(spec: TensorSpec, label?: string): GpuStorage {
    this.gpu.throwIfLost();
    this.#checkStorable(spec, label);
    const bytes = byteLength(spec);
    const limit = this.#mostBytes;
    if (bytes > limit) {
      raise(
        "KW-GPU-LIMIT",
        `Cannot allocate ${formatSpec(spec)} (${bytes} bytes): the adapter binds at most ${limit} bytes`,
        "Split the tensor, or store it as f16.",
        { tensor: label },
      );
    }
    const buffer = this.gpu.pool.acquire(bytes, this.guard?.zone, () => {
      return `${label === undefined ? "" : `${JSON.stringify(label)} `}${formatSpec(spec)} (${bytes} bytes)`;
    });
    const storage = new GpuStorage(this, buffer, label, this.#callSite());
    this.live.add(storage);
    this.guard?.adopt(storage, bytes);
    return storage;
  }

  /** Memory filled with `data`. */
  upload(spec: TensorSpec, data: TensorData, label?: string): GpuStorage {
    const storage = this.allocate(spec, label);
    const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
    this.gpu.stream.write(storage.buffer, bytes);
    this.guard?.wholeWords(storage);
    return storage;
  }

  /** The values, after everything recorded so far. */
  async read(storage: Storage, spec: TensorSpec): Promise<TensorData> {
    this.reads++;
    const { buffer } = storage as GpuStorage;
    const bytes = await this.gpu.readback.read(buffer, byteLength(spec));
    return DTYPES[spec.dtype].array(bytes);
  }

  /** Takes a storage's buffer back into the pool. */
  forget(storage: GpuStorage): void {
    if (!this.live.delete(storage) || this.guard?.retire(storage)) return;
    this.gpu.pool.release(storage.buffer);
  }

  #checkStorable(spec: TensorSpec, label?: string): void {
    if (DTYPES[spec.dtype].wgsl.length === 0) {
      raise(
        "KW-TENSOR-DTYPE",
        `Cannot keep a ${spec.dtype} tensor on the GPU: no shader can read it`,
        "Widen it to f32 first.",
        {
          tensor: label,
        },
      );
    }
    if (spec.dtype === "f16" && !this.gpu.features.has("shader-f16")) {
      raise(
        "KW-GPU-FEATURE",
        `Cannot keep ${formatSpec(spec)} on this adapter: it lacks "shader-f16"`,
        "Load the model as f32.",
        {
          tensor: label,
        },
      );
    }
  }

  #callSite(): string | undefined {
    if (!this.traceAllocations) return undefined;
    const here = import.meta.resolve("../../");
    const holder: { stack?: string } = {};
    Error.captureStackTrace?.(holder);
    const lines = holder.stack?.split("\n").slice(1) ?? [];
    return (lines.find((l) => !l.includes(`${here}gpu/`) && !l.includes(`${here}tensor/`)) ?? lines.at(-1))
      ?.trim();
  }
}
