/**
 * Room for the uniforms of the dispatches recorded since the last submit.
 *
 * Each dispatch takes a slice at an aligned offset and binds it as a dynamic offset, so that its bind group can be
 * used again with other uniforms. One `writeBuffer` before the submit carries them all. After the submit the ring
 * begins again: the queue orders the next write behind it.
 */
export class UniformRing {
  /** The buffer to bind. */
  readonly buffer: GPUBuffer;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #queue: GPUQueue;
  readonly #align: number;
  #used = 0;

  /**
   * Makes one.
   *
   * @param least The ring's size, unless one dispatch may need more.
   */
  constructor(device: GPUDevice, least = 256 * 1024) {
    const { maxDynamicUniformBuffersPerPipelineLayout, maxUniformBufferBindingSize } = device.limits;
    const bytes = Math.max(
      least,
      (maxDynamicUniformBuffersPerPipelineLayout + 1) * maxUniformBufferBindingSize,
    );
    this.#queue = device.queue;
    this.#align = Math.max(16, device.limits.minUniformBufferOffsetAlignment);
    this.#words = new Uint32Array(bytes / 4);
    this.buffer = device.createBuffer({ size: bytes, usage: 0x40 | 0x08 }); // UNIFORM | COPY_DST
  }

  /** Whether `count` uniforms of `bytes` together fit before the next submit. */
  fits(count: number, bytes: number): boolean {
    return this.#used + bytes + count * this.#align <= this.#words.byteLength;
  }

  /** Copies one uniform in, `bytes` from `at` of `data`, multiples of 16; returns its offset. */
  push(data: Uint32Array, at: number, bytes: number): number {
    const offset = this.#used;
    // A loop: a view for each of these few words would cost more than copying them.
    for (let i = 0; i < bytes / 4; i++) this.#words[offset / 4 + i] = data[at / 4 + i];
    this.#used = Math.ceil((offset + bytes) / this.#align) * this.#align;
    return offset;
  }

  /** Sends what was pushed; call right before the submit. */
  flush(): void {
    if (this.#used === 0) return;
    this.#queue.writeBuffer(this.buffer, 0, this.#words, 0, this.#used / 4);
    this.#used = 0;
  }
}
