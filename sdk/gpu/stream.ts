import { raise } from "../errors.ts";
import type { Faults, Proof } from "./faults.ts";
import type { Flow, Ledger, Reading } from "./ledger.ts";
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
 *
 * A command buffer runs as a whole or not at all, so a pipeline that the driver has not accepted yet gets one of its own:
 * if it does not compile, only its dispatches are lost.
 */
export class Stream {
  /** Uniforms of the recorded dispatches. */
  readonly uniforms: UniformRing;
  /** Told of everything that is recorded, if there is one. */
  recorder: StreamRecorder | undefined;
  /** Gives each new pass its timestamp queries, while something is timed. */
  timestamps: (() => GPUComputePassTimestampWrites | undefined) | undefined;
  readonly #device: GPUDevice;
  readonly #faults: Faults;
  readonly #ledger: Ledger;
  readonly #afterSubmit: (submit: number) => void;
  /** Submits as the queue sees them: more than those that are counted outside, while pipelines are unproven. */
  #cuts = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #pipeline: GPUComputePipeline | undefined;
  readonly #offsets: number[] = [];
  #suspect: Proof | undefined;
  #inPass = 0;
  #submits = 0;
  #dispatches = 0;

  /**
   * Makes one.
   *
   * @param afterSubmit Told after each submit, with its number.
   */
  constructor(device: GPUDevice, faults: Faults, ledger: Ledger, afterSubmit: (submit: number) => void) {
    [this.#device, this.#faults, this.#ledger, this.#afterSubmit] = [device, faults, ledger, afterSubmit];
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
    const { pipeline, proof } = d.compiled;
    if (proof.failure) return this.#ledger.dispatch(d, this.#cuts);
    const room = this.uniforms.fits(uniforms.length, uniformBytes);
    if (!room || this.#inPass >= DISPATCHES_PER_SUBMIT) this.submit();
    this.#suspects(proof.settled ? undefined : proof);
    this.#ledger.dispatch(d, this.#cuts);
    const pass = this.#pass ??= this.#beginPass();
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
    this.#copyTo(source, sourceOffset, target.buffer, targetOffset, bytes);
    this.#ledger.copy(source, target, targetOffset === 0 && bytes >= target.bytes, this.#cuts);
    target.lastUse = this.#submits;
    // A copy counts too, or a long load would never be submitted.
    if (++this.#inPass >= DISPATCHES_PER_SUBMIT) this.submit();
  }

  /** Records a copy of the first `bytes` to where the host can read them, and submits. */
  copyOut(source: GpuBuffer, staging: GPUBuffer, bytes: number): Reading {
    this.#copyTo(source, 0, staging, 0, bytes);
    const reading = this.#ledger.begin(source, this.#cuts);
    this.submit();
    return reading;
  }

  /** Submits, and begins to wait for what is known of buffers then. */
  watch(buffers: Iterable<GpuBuffer>): Reading[] {
    this.submit();
    return [...buffers].map((b) => this.#ledger.begin(b, this.#cuts - 1));
  }

  #copyTo(source: GpuBuffer, from: number, target: GPUBuffer, to: number, bytes: number): void {
    this.#suspects(undefined);
    this.#endPass();
    this.#commands().copyBufferToBuffer(source.buffer, from, target, to, bytes);
    source.lastUse = this.#submits;
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
    if (data.length === 0) return;
    const whole = data.length & ~3;
    const { queue } = this.#device;
    const write = () => {
      if (whole > 0) queue.writeBuffer(target.buffer, offset, data, 0, whole);
      if (whole === data.length) return;
      const tail = new Uint8Array(4); // what is behind the buffer's last byte is nobody's
      tail.set(data.subarray(whole));
      queue.writeBuffer(target.buffer, offset + whole, tail, 0, 4);
    };
    if (target.proof) this.#faults.muted(write); // what becomes of the buffer is told by its proof
    else write();
    this.#ledger.write(target, offset === 0 && data.length >= target.bytes, this.#cuts);
    // The queue keeps a staging copy of every write until the next submit.
    if ((this.#written += data.length) > 32 * 1024 * 1024) this.submit(true);
  }
  #written = 0;

  /**
   * Records a run of dispatches that were prepared before, in the current pass.
   *
   * @param touched Buffers that it uses; the plan's own need not be told.
   * @param written Buffers that it writes.
   * @param flow What depends on what, where that matters.
   * @param suspects Pipelines among them of which it is not known whether they compile.
   */
  replay(
    steps: readonly PreparedDispatch[],
    touched: readonly GpuBuffer[],
    written: Iterable<GpuBuffer>,
    flow: readonly Flow[] | undefined,
    suspects: readonly Proof[] = [],
  ): void {
    if (steps.length === 0) return;
    if (this.#inPass >= DISPATCHES_PER_SUBMIT) this.submit(); // nobody may read for long
    this.#suspects(undefined);
    if (suspects.length > 0 && this.#encoder) this.#cut();
    for (const b of written) b.lastWrite = this.#cuts;
    if (flow) this.#ledger.replay(flow, this.#cuts);
    const pass = this.#pass ??= this.#beginPass();
    for (const s of steps) {
      if (this.#pipeline !== s.pipeline) pass.setPipeline(this.#pipeline = s.pipeline);
      for (let g = 0; g < s.groups.length; g++) pass.setBindGroup(g, s.groups[g], s.offsets[g]);
      pass.dispatchWorkgroups(s.x, s.y, s.z);
    }
    for (const b of touched) b.lastUse = this.#submits;
    this.#inPass += steps.length;
    this.#dispatches += steps.length;
    if (suspects.length > 0) this.#cut(suspects);
  }

  /** Submits what was recorded. With `force`, submits even nothing, which frees the queue's staging memory. */
  submit(force = false): void {
    if (!this.#encoder && !force) return;
    this.#cut();
    this.#inPass = 0;
    this.#written = 0;
    this.#afterSubmit(this.#submits++);
  }

  /** Ends the pass that is open, so that what comes next is timed alone. */
  endPass(): void {
    this.#endPass();
  }

  /** Has what comes next share no command buffer with what another unproven pipeline may spoil, or be spoilt by. */
  #suspects(proof: Proof | undefined): void {
    if (this.#suspect?.settled && !this.#suspect.failure) this.#suspect = undefined;
    if (this.#suspect === proof) return;
    if (this.#encoder) this.#cut();
    this.#suspect = proof;
  }

  /** Hands the queue what was recorded. For the rest of the world the same submit goes on. */
  #cut(suspects: readonly Proof[] = this.#suspect ? [this.#suspect] : []): void {
    const proof = this.#faults.submitted(() => {
      this.#endPass();
      this.uniforms.flush();
      this.#device.queue.submit(this.#encoder ? [this.#encoder.finish()] : []);
    }, suspects);
    this.#encoder = this.#suspect = undefined;
    this.#ledger.submitted(proof, suspects, this.#cuts++);
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
