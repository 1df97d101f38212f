import { Storage } from "../tensor/mod.ts";
import type { GpuBackend } from "./backend.ts";
import type { GpuBuffer } from "./pool.ts";

/** A tensor's memory on the GPU: one pooled buffer. */
export class GpuStorage extends Storage {
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
