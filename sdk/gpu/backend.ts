import { raise } from "../errors.ts";
import {
  type Backend,
  byteLength,
  DTYPES,
  formatSpec,
  type Storage,
  type TensorData,
  type TensorSpec,
} from "../tensor/mod.ts";
import type { Gpu } from "./device.ts";
import { GpuStorage } from "./gpu_storage.ts";
import type { MemoryGuard } from "./guard.ts";
import { LiveList } from "./live_list.ts";

/** Tensors on a WebGPU device. */
export class GpuBackend implements Backend {
  /** Always `webgpu`. */
  readonly device = "webgpu";
  /** The device. */
  readonly gpu: Gpu;
  /** Every storage that is alive. */
  readonly live: LiveList = new LiveList();
  /** Whether each allocation remembers the line that made it. */
  traceAllocations = false;
  /** Puts guard zones behind new tensors, while a test has one. */
  guard?: MemoryGuard;
  /** How often values were asked for since the device was opened. */
  reads = 0;
  readonly #mostBytes: number;

  /**
   * Makes one.
   *
   * @param gpu The device.
   */
  constructor(gpu: Gpu) {
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
    const buffer = this.gpu.pool.acquire(bytes, this.guard?.zone);
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
    const bytes = await this.gpu.checked(() => this.gpu.readback.read(buffer, byteLength(spec)));
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
    const here = import.meta.resolve("../");
    const holder: { stack?: string } = {};
    Error.captureStackTrace?.(holder);
    const lines = holder.stack?.split("\n").slice(1) ?? [];
    return (lines.find((l) => !l.includes(`${here}gpu/`) && !l.includes(`${here}tensor/`)) ?? lines.at(-1))
      ?.trim();
  }
}
