/**
 * Room for the uniforms of the dispatches recorded since the last submit.
 *
 * Each dispatch takes a slice at an aligned offset and binds it as a dynamic offset, so that its bind group can be
 * used again with other uniforms. One `writeBuffer` before the submit carries them all. After the submit the ring
 * begins anew: the queue orders the next write behind it.
 */
export class UniformRing {
  /** The buffer to bind. */
  readonly buffer: GPUBuffer;
  readonly #staging: Uint8Array<ArrayBuffer>;
  readonly #queue: GPUQueue;
  readonly #align: number;
  #used = 0;

  /** @param bytes The ring's size. */
  constructor(device: GPUDevice, bytes = 256 * 1024) {
    this.#queue = device.queue;
    this.#align = Math.max(16, device.limits.minUniformBufferOffsetAlignment);
    this.#staging = new Uint8Array(bytes);
    this.buffer = device.createBuffer({ size: bytes, usage: 0x40 | 0x08 }); // UNIFORM | COPY_DST
  }

  /** Whether `bytes` more fit before the next submit. */
  fits(bytes: number): boolean {
    return this.#used + bytes <= this.#staging.length;
  }

  /** Copies one dispatch's uniforms in; returns their offset. */
  push(data: Uint8Array): number {
    const offset = this.#used;
    this.#staging.set(data, offset);
    this.#used = Math.ceil((offset + data.length) / this.#align) * this.#align;
    return offset;
  }

  /** Forgets what was pushed, when its dispatches will not be submitted. */
  reset(): void {
    this.#used = 0;
  }

  /** Sends what was pushed; call right before the submit. */
  flush(): void {
    if (this.#used === 0) return;
    this.#queue.writeBuffer(this.buffer, 0, this.#staging, 0, Math.ceil(this.#used / 4) * 4);
    this.#used = 0;
  }
}
