import { raise } from "../../errors.ts";
import type { Faults, Proof } from "../memory/faults.ts";
import type { Flow, Ledger, Reading } from "../memory/ledger.ts";
import type { CompiledPipeline } from "./pipeline.ts";
import type { GpuBuffer } from "../memory/buffer.ts";
import type { ShaderVariant } from "../shader/shader.ts";
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

/** Dispatches of a captured plan that follow each other. */
export interface PreparedRun {
  /** They. */
  readonly run: readonly PreparedDispatch[];
  /** What depends on what. */
  readonly flow: readonly Flow[];
  /** Every buffer that they are bound to, once. */
  readonly buffers: readonly GpuBuffer[];
  /** Those that they write. */
  readonly written: readonly GpuBuffer[];
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
const NONE: readonly Proof[] = [];

/**
 * Records work and submits it seldom: dispatches share one compute pass, passes share one command buffer, and
 * nothing is submitted until somebody reads, or the recording is long.
 *
 * A command buffer runs as a whole or not at all, so what needs a pipeline or a buffer that the device has not accepted
 * yet gets one of its own: if it is refused, nothing else is lost.
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
  #suspects: readonly Proof[] = NONE;
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
    const suspects = suspectsOf(proof, d.buffers);
    if (!this.#isWith(suspects)) this.#cut();
    const room = this.uniforms.fits(uniforms.length, uniformBytes);
    if (!room || this.#inPass >= DISPATCHES_PER_SUBMIT) this.submit();
    if (this.#ledger.dispatch(d, this.#cuts)) return;
    this.#suspects = suspects;
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
    const suspects = suspectsOf(undefined, [source, target]);
    if (!this.#isWith(suspects)) this.#cut();
    const whole = targetOffset === 0 && bytes >= target.bytes;
    if (this.#ledger.copy(source, target, whole, this.#cuts)) return;
    this.#copyTo(source, sourceOffset, target.buffer, targetOffset, bytes, suspects);
    target.lastUse = this.#submits;
    // A copy counts too, or a long load would never be submitted.
    if (++this.#inPass >= DISPATCHES_PER_SUBMIT) this.submit();
  }

  /** Records a copy of the first `bytes` to where the host can read them, and submits. */
  copyOut(source: GpuBuffer, staging: GPUBuffer, bytes: number): Reading {
    const suspects = suspectsOf(undefined, [source]);
    if (!this.#isWith(suspects)) this.#cut();
    this.#copyTo(source, 0, staging, 0, bytes, suspects);
    const reading = this.#ledger.begin(source, this.#cuts);
    this.submit();
    return reading;
  }

  /** Submits, and begins to wait for what is known of buffers then. */
  watch(buffers: Iterable<GpuBuffer>): Reading[] {
    this.submit();
    return [...buffers].map((b) => this.#ledger.begin(b, this.#cuts - 1));
  }

  #copyTo(
    source: GpuBuffer,
    from: number,
    target: GPUBuffer,
    to: number,
    bytes: number,
    suspects: readonly Proof[],
  ): void {
    this.#suspects = suspects;
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
   * @param pipelines Those of them of which it is not known whether they compile.
   */
  replay({ run, buffers, written, flow }: PreparedRun, pipelines: readonly Proof[] = NONE): void {
    if (run.length === 0) return;
    if (this.#inPass >= DISPATCHES_PER_SUBMIT) this.submit(); // nobody may read for long
    const suspects = [...pipelines, ...suspectsOf(undefined, buffers)];
    if (!this.#isWith(suspects)) this.#cut();
    for (const b of written) b.lastWrite = this.#cuts;
    if (suspects.length > 0 || buffers.some((b) => b.proofs)) this.#ledger.replay(flow, this.#cuts);
    const lacking = buffers.find((b) => b.proof?.failure);
    if (lacking || suspects.length > 0) this.#ledger.depend(written, lacking ? [lacking.proof!] : suspects);
    if (lacking) return;
    this.#suspects = suspects;
    const pass = this.#pass ??= this.#beginPass();
    for (const s of run) {
      if (this.#pipeline !== s.pipeline) pass.setPipeline(this.#pipeline = s.pipeline);
      for (let g = 0; g < s.groups.length; g++) pass.setBindGroup(g, s.groups[g], s.offsets[g]);
      pass.dispatchWorkgroups(s.x, s.y, s.z);
    }
    for (const b of buffers) b.lastUse = this.#submits;
    this.#inPass += run.length;
    this.#dispatches += run.length;
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

  /** Whether what is recorded now depends on the same unproven things: it runs together or not at all. */
  #isWith(suspects: readonly Proof[]): boolean {
    if (!this.#encoder) return true;
    if (this.#suspects.length > 0 && this.#suspects.every((p) => p.settled && !p.failure)) {
      this.#suspects = NONE;
    }
    const now = this.#suspects;
    return now.length === suspects.length && now.every((p, i) => p === suspects[i]);
  }

  /** Hands the queue what was recorded. For the rest of the world the same submit goes on. */
  #cut(): void {
    const suspects = this.#suspects;
    const proof = this.#faults.submitted(() => {
      this.#endPass();
      this.uniforms.flush();
      this.#device.queue.submit(this.#encoder ? [this.#encoder.finish()] : []);
    }, suspects);
    this.#encoder = undefined;
    this.#suspects = NONE;
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

/** What a command needs that the device has not accepted yet. */
function suspectsOf(pipeline: Proof | undefined, buffers: readonly GpuBuffer[]): readonly Proof[] {
  let found = pipeline && !pipeline.settled ? [pipeline] : NONE;
  for (const { proof } of buffers) {
    if (proof && !proof.settled && !found.includes(proof)) found = [...found, proof];
  }
  return found;
}

function checkWords({ bytes }: GpuBuffer, count: number, offset: number): void {
  if (offset % 4 === 0 && (count % 4 === 0 || offset + count === bytes)) return;
  raise(
    "KW-GPU-VALIDATION",
    `Cannot write ${count} bytes at byte ${offset} of ${bytes}: WebGPU writes whole words of 4 bytes`,
    "Begin at a multiple of 4, and end at one or where the tensor ends.",
  );
}
