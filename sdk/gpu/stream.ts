import { raise } from "../errors.ts";
import type { CompiledPipeline } from "./pipeline.ts";
import type { GpuBuffer } from "./pool.ts";
import type { ShaderVariant } from "./shader.ts";
import { UniformRing } from "./uniform_ring.ts";

/** One dispatch, ready to record. */
export interface RecordedDispatch {
  /** The pipeline. */
  readonly compiled: CompiledPipeline;
  /** The shader that it was made from. */
  readonly variant: ShaderVariant;
  /** Bind groups by index. */
  readonly groups: readonly GPUBindGroup[];
  /** Its uniforms, packed as the variant's reflection says. Used again by the next dispatch: copy what is kept. */
  readonly packed: Uint32Array<ArrayBuffer>;
  /** Workgroup counts. */
  readonly workgroups: readonly [number, number, number];
  /** Every storage buffer that it touches, in the order of the shader's bindings. */
  readonly buffers: readonly GpuBuffer[];
  /** How many bytes of each are bound. */
  readonly sizes: readonly number[];
}

/** One dispatch of a captured plan: its uniforms lie in a buffer of the plan's. */
export interface PreparedDispatch {
  /** The pipeline. */
  readonly pipeline: GPUComputePipeline;
  /** Bind groups by index. */
  readonly groups: readonly GPUBindGroup[];
  /** For each group, the dynamic offsets. */
  readonly offsets: readonly number[][];
  /** Workgroups along x. */
  readonly x: number;
  /** Workgroups along y. */
  readonly y: number;
  /** Workgroups along z. */
  readonly z: number;
}

/** Told of everything that is recorded; a plan is captured so. */
export interface StreamRecorder {
  /** A dispatch was recorded. */
  dispatch(d: RecordedDispatch): void;
  /** A copy between two pooled buffers was recorded. */
  copy(source: GpuBuffer, sourceOffset: number, target: GpuBuffer, targetOffset: number, bytes: number): void;
  /** The host wrote into a buffer. */
  write(target: GpuBuffer, data: Uint8Array<ArrayBuffer>, offset: number): void;
}

/** How many dispatches are recorded before a submit, so that the GPU begins while the host goes on. */
const DISPATCHES_PER_SUBMIT = 256;

/**
 * Records work and submits it seldom: dispatches share one compute pass, passes share one command buffer, and
 * nothing is submitted until somebody reads, or the recording is long.
 */
export class Stream {
  /** Uniforms of the recorded dispatches. */
  readonly uniforms: UniformRing;
  /** Told of everything that is recorded, if there is one. */
  recorder: StreamRecorder | undefined;
  /** Gives each new pass its timestamp queries, while something is timed. */
  timestamps: (() => GPUComputePassTimestampWrites | undefined) | undefined;
  readonly #device: GPUDevice;
  readonly #afterSubmit: (submit: number) => void;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #pipeline: GPUComputePipeline | undefined;
  readonly #offsets: number[] = [];
  #inPass = 0;
  #submits = 0;
  #dispatches = 0;

  /**
   * Makes one.
   *
   * @param afterSubmit Told after each submit, with its number.
   */
  constructor(device: GPUDevice, afterSubmit: (submit: number) => void) {
    this.#device = device;
    this.#afterSubmit = afterSubmit;
    this.uniforms = new UniformRing(device);
  }

  /** The number of the submit that is being recorded. */
  get epoch(): number {
    return this.#submits;
  }

  /** Dispatches recorded since the device was opened. */
  get dispatches(): number {
    return this.#dispatches;
  }

  /** Records a dispatch. */
  dispatch(d: RecordedDispatch): void {
    this.recorder?.dispatch(d);
    const { uniforms, uniformBytes } = d.variant.reflection;
    const room = this.uniforms.fits(uniforms.length, uniformBytes);
    if (!room || this.#inPass >= DISPATCHES_PER_SUBMIT) this.submit();
    const pass = this.#pass ??= this.#beginPass();
    const { pipeline } = d.compiled;
    d.compiled.warm = true;
    if (this.#pipeline !== pipeline) pass.setPipeline(this.#pipeline = pipeline);
    const offsets = this.#offsets;
    for (let g = 0; g < d.groups.length; g++) {
      offsets.length = 0;
      for (const u of uniforms) {
        if (u.group === g) offsets.push(this.uniforms.push(d.packed, u.at, u.bytes));
      }
      pass.setBindGroup(g, d.groups[g], offsets);
    }
    const [x, y, z] = d.workgroups;
    pass.dispatchWorkgroups(x, y, z);
    for (const b of d.buffers) b.lastUse = this.#submits;
    this.#inPass++;
    this.#dispatches++;
  }

  /** Records a copy of `bytes` (a multiple of 4, at offsets that are multiples of 4) between two buffers. */
  copy(
    source: GpuBuffer,
    sourceOffset: number,
    target: GpuBuffer,
    targetOffset: number,
    bytes: number,
  ): void {
    if (bytes === 0) return;
    this.recorder?.copy(source, sourceOffset, target, targetOffset, bytes);
    this.copyTo(source, sourceOffset, target.buffer, targetOffset, bytes);
    target.lastUse = this.#submits;
  }

  /** Records a copy into a buffer that no pool owns, such as a staging buffer. */
  copyTo(
    source: GpuBuffer,
    sourceOffset: number,
    target: GPUBuffer,
    targetOffset: number,
    bytes: number,
  ): void {
    this.#endPass();
    this.#commands().copyBufferToBuffer(source.buffer, sourceOffset, target, targetOffset, bytes);
    source.lastUse = this.#submits;
    // A copy counts too, or a long load would never be submitted.
    if (++this.#inPass >= DISPATCHES_PER_SUBMIT) this.submit();
  }

  /**
   * Writes from the host, ordered after everything recorded so far. WebGPU writes whole words: `offset` must be a
   * multiple of 4, and so must the count of bytes, unless they are the buffer's last.
   *
   * @throws KW-GPU-VALIDATION where a neighbour's bytes would be lost; nothing is written then.
   */
  write(target: GpuBuffer, data: Uint8Array<ArrayBuffer>, offset = 0): void {
    checkWords(target, data.length, offset);
    this.recorder?.write(target, data, offset);
    // writeBuffer happens before the commands still being recorded: those that use the buffer must go first.
    if (target.lastUse === this.#submits) this.submit();
    const whole = data.length & ~3;
    if (whole > 0) this.#device.queue.writeBuffer(target.buffer, offset, data, 0, whole);
    if (whole < data.length) {
      const tail = new Uint8Array(4); // what is behind the buffer's last byte is nobody's
      tail.set(data.subarray(whole));
      this.#device.queue.writeBuffer(target.buffer, offset + whole, tail, 0, 4);
    }
    // The queue keeps a staging copy of every write until the next submit.
    if ((this.#written += data.length) > 32 * 1024 * 1024) this.submit(true);
  }
  #written = 0;

  /** Records a run of dispatches that were prepared before, in the current pass. */
  replay(steps: readonly PreparedDispatch[], touched: readonly GpuBuffer[]): void {
    if (steps.length === 0) return;
    if (this.#inPass >= DISPATCHES_PER_SUBMIT) this.submit(); // nobody may read for long
    const pass = this.#pass ??= this.#beginPass();
    for (const s of steps) {
      if (this.#pipeline !== s.pipeline) pass.setPipeline(this.#pipeline = s.pipeline);
      for (let g = 0; g < s.groups.length; g++) pass.setBindGroup(g, s.groups[g], s.offsets[g]);
      pass.dispatchWorkgroups(s.x, s.y, s.z);
    }
    for (const b of touched) b.lastUse = this.#submits;
    this.#inPass += steps.length;
    this.#dispatches += steps.length;
  }

  /** Submits what was recorded. With `force`, submits even nothing, which frees the queue's staging memory. */
  submit(force = false): void {
    if (!this.#encoder && !force) return;
    this.#endPass();
    this.uniforms.flush();
    this.#device.queue.submit(this.#encoder ? [this.#encoder.finish()] : []);
    this.#encoder = undefined;
    this.#inPass = 0;
    this.#written = 0;
    this.#afterSubmit(this.#submits++);
  }

  /** Forgets what was recorded, after an error has spoilt it. */
  discard(): void {
    this.#encoder = this.#pass = this.#pipeline = undefined;
    this.#inPass = 0;
    this.uniforms.reset(); // or what was forgotten would fill it, submit by submit
    this.#submits++;
  }

  /** Ends the pass that is open, so that what comes next is timed alone. */
  endPass(): void {
    this.#endPass();
  }

  #beginPass(): GPUComputePassEncoder {
    const timestampWrites = this.timestamps?.();
    return this.#commands().beginComputePass(timestampWrites && { timestampWrites });
  }

  #commands(): GPUCommandEncoder {
    return this.#encoder ??= this.#device.createCommandEncoder();
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = this.#pipeline = undefined;
  }
}

// ---------------------------------------------------------------------------

function checkWords({ bytes }: GpuBuffer, count: number, offset: number): void {
  if (offset % 4 === 0 && (count % 4 === 0 || offset + count === bytes)) return;
  raise(
    "KW-GPU-VALIDATION",
    `Cannot write ${count} bytes at byte ${offset} of ${bytes}: WebGPU writes whole words of 4 bytes`,
    "Begin at a multiple of 4, and end at one or where the tensor ends.",
  );
}
