/**
 * Guard zones: how a test sees a shader write where it must not.
 *
 *   usual buffer      [ tensor ]                       bound exactly: what lies past the end is clamped or dropped
 *   guarded buffer    [ tensor | zone of NaN canaries ]   bound with the zone, so that a stray write lands in it
 *
 * WebGPU never lets a shader out of its binding, so a stray write vanishes or hits the last element, by driver. With
 * the zone inside the binding it is kept, and read back. A read past the end gives NaN instead of zero, and an
 * element of `out` that nobody writes is NaN instead of what the buffer last held.
 *
 * A binding whose `arrayLength` the shader asks for is still bound exactly, since the length would be wrong.
 */
import type { GpuStorage, Guard } from "./device/backend.ts";
import { currentGpu, type OpenedGpu } from "./device.ts";
import type { ShaderVariant } from "./shader/shader.ts";

/** Bytes behind each tensor. A multiple of every element's size, so that bindings stay whole. */
const ZONE = 4096;

/** A word that is NaN as f32 and as two f16. Each tensor has its own: arithmetic hands a NaN's bits on. */
function canaryOf(n: number): number {
  return ((0x7fc0 | (n & 0x3f)) << 16 | 0x7e00 | ((n >> 6) & 0x1ff)) >>> 0;
}

/** A write that was found behind a tensor. */
export interface Overrun {
  /** The tensor's name, if it has one. */
  readonly name?: string;
  /** The tensor's size in bytes. */
  readonly bytes: number;
  /** How far behind the tensor's end the first byte lies that was written. */
  readonly behind: number;
  /** The line that made the tensor, where allocations are traced. */
  readonly madeAt?: string;
}

/** Watches the tensors that are made while it is on. */
export class MemoryGuard implements Guard {
  readonly #gpu: OpenedGpu;
  readonly #from = new Map<GpuStorage, number>();
  readonly #canaries = new Map<GpuStorage, number>();
  #made = 0;
  readonly #retired = new Set<GpuStorage>();
  readonly #asksLength = new Map<string, boolean>();

  /** Use {@linkcode guardMemory}. */
  constructor(gpu: OpenedGpu) {
    this.#gpu = gpu;
  }

  /** Extra bytes to allocate behind a tensor. */
  get zone(): number {
    return ZONE;
  }

  /** Fills a new storage with canaries and watches what lies behind `bytes`. */
  adopt(storage: GpuStorage, bytes: number): void {
    const canary = canaryOf(this.#made++);
    this.#canaries.set(storage, canary);
    const words = new Uint32Array(storage.buffer.size / 4).fill(canary);
    this.#gpu.stream.write(storage.buffer, new Uint8Array(words.buffer));
    this.#from.set(storage, bytes);
  }

  /** Told of a write by the host, or a copy to the tensor's end: both come in whole words. */
  wholeWords(storage: GpuStorage): void {
    const from = this.#from.get(storage);
    if (from !== undefined) this.#from.set(storage, Math.ceil(from / 4) * 4);
  }

  /** Keeps the buffer of a storage that is gone until {@linkcode MemoryGuard.check}; whether it was watched. */
  retire(storage: GpuStorage): boolean {
    if (!this.#from.has(storage)) return false;
    this.#retired.add(storage);
    return true;
  }

  /** The size to bind: with the zone, or `exact` where the shader asks for the length. */
  boundSize(storage: GpuStorage, exact: number, variant: ShaderVariant, name: string): number {
    const bytes = this.#from.get(storage);
    if (bytes === undefined) return exact;
    const key = `${variant.id}:${name}`;
    let asks = this.#asksLength.get(key);
    if (asks === undefined) {
      const ofNames = /\barrayLength\b(?:\s*\(\s*&\s*(\p{XID_Continue}+)\s*[.)])?/gu;
      // Where no name follows, as with a pointer that was taken before, it could be any binding's.
      asks = [...variant.code.matchAll(ofNames)].some(([, of]) => of === undefined || of === name);
      this.#asksLength.set(key, asks);
    }
    if (!asks) return storage.buffer.size - storage.buffer.size % 16;
    this.#from.set(storage, Math.max(bytes, exact)); // up to there the shader may well write
    return exact;
  }

  /** Reads every zone back, and lets go of the buffers of tensors that are gone. */
  async check(): Promise<Overrun[]> {
    const found: Overrun[] = [];
    for (const { storage, from, bytes } of await this.#readZones()) {
      const canary = new Uint8Array(new Uint32Array([this.#canaries.get(storage)!]).buffer);
      const first = from % 4; // the zone may begin inside a word
      const at = bytes.findIndex((b, i) => i >= first && b !== canary[i % 4]);
      if (at >= 0) {
        found.push({ name: storage.label, bytes: from, behind: at - first, madeAt: storage.madeAt });
      }
      if (this.#retired.delete(storage)) this.#drop(storage);
    }
    return found;
  }

  /** Stops watching. Tensors that are alive keep their larger buffers. */
  end(): void {
    for (const storage of this.#retired) this.#drop(storage);
    this.#retired.clear();
    this.#from.clear();
    if (this.#gpu.backend.guard === this) this.#gpu.backend.guard = undefined;
  }

  /** Lets `using` statements end it. */
  [Symbol.dispose](): void {
    this.end();
  }

  // All zones in one buffer, since every readback waits for the GPU.
  async #readZones(): Promise<{ storage: GpuStorage; from: number; bytes: Uint8Array }[]> {
    const gpu = this.#gpu;
    const zones = [...this.#from].map(([storage, from]) => ({
      storage,
      from,
      start: from - from % 4,
      size: storage.buffer.size - (from - from % 4),
    }));
    const total = zones.reduce((n, z) => n + z.size, 0);
    const all = gpu.pool.acquire(total);
    let at = 0;
    for (const z of zones) {
      gpu.stream.copy(z.storage.buffer, z.start, all, at, z.size);
      at += z.size;
    }
    const bytes = new Uint8Array(await gpu.readback.read(all, total));
    gpu.pool.release(all);
    at = 0;
    return zones.map((z) => ({ ...z, bytes: bytes.subarray(at, at += z.size) }));
  }

  #drop(storage: GpuStorage): void {
    this.#from.delete(storage);
    this.#gpu.pool.release(storage.buffer);
  }
}

/**
 * Puts a guard zone behind every tensor made from now on, until the guard ends. For tests: it is slow.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { guardMemory } from "@kernelwright/sdk/inspect";
 * import { neg } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using guard = guardMemory();
 * using x = Tensor.from([1, 2, 3]), _out = neg(x);
 * assertEquals(await guard.check(), []); // the shader of neg stays within its tensors
 * ```
 */
export function guardMemory(): MemoryGuard {
  const gpu = currentGpu();
  return gpu.backend.guard = new MemoryGuard(gpu);
}
