/**
 * Records a run once and replays it without any per-operator JavaScript.
 *
 *   record(fn)   runs fn as ever; what the stream is told is also written down:
 *                  pipelines, bind groups, uniforms, workgroup counts, copies
 *   replay()     one loop over that list, into the pass that is open
 *
 * What varies from run to run (token ids, the position) lies in tensors that the shaders read: the list is the same.
 * Buffers made inside belong to the plan; inside it they are reused as their tensors are released, so that the plan
 * holds about its largest live set. Numbers are those of the recorded run, bit for bit: it is the same work.
 */
import { raise } from "../errors.ts";
import { isScoped, keep, scope, type Tensor, tensorsIn } from "../tensor/mod.ts";
import { Arena } from "./arena.ts";
import { currentGpu, type Gpu } from "./device.ts";
import { GpuStorage } from "./gpu_storage.ts";
import type { GpuBuffer } from "./pool.ts";
import type { PreparedDispatch, RecordedDispatch, StreamRecorder } from "./stream.ts";

type Step =
  | { readonly run: readonly PreparedDispatch[] }
  | {
    readonly source: GpuBuffer;
    readonly from: number;
    readonly target: GpuBuffer;
    readonly to: number;
    readonly bytes: number;
  };

/** A run that can be repeated. */
export class CapturedPlan<R = unknown> {
  /** What the recorded function returned. A replay writes new values into the same tensors. */
  readonly result: R;
  /** How many dispatches a replay makes. */
  readonly dispatches: number;
  /** Bytes of GPU memory that belong to the plan. */
  readonly bytes: number;
  readonly #gpu: Gpu;
  readonly #steps: readonly Step[];
  readonly #arena: Arena;
  readonly #uniforms: GPUBuffer | undefined;
  readonly #outside: readonly { readonly buffer: GpuBuffer; readonly owner: number }[];
  readonly #touched: readonly GpuBuffer[];
  readonly #effects: readonly (() => void)[];
  readonly #made: ReadonlySet<Tensor>;
  readonly #written: ReadonlySet<GpuBuffer>;
  #disposed = false;

  /** Use {@linkcode record}. */
  constructor(gpu: Gpu, recording: Recording, result: R) {
    this.#gpu = gpu;
    this.result = result;
    this.#arena = recording.arena;
    this.#effects = recording.effects;
    this.#made = recording.made;
    this.#written = recording.written();
    this.#outside = recording.outside();
    this.#touched = this.#outside.map((o) => o.buffer);
    ({ steps: this.#steps, uniforms: this.#uniforms } = recording.prepare(gpu));
    this.dispatches = this.#steps.reduce((n, s) => n + ("run" in s ? s.run.length : 0), 0);
    this.bytes = this.#arena.buffers.reduce((n, b) => n + b.size, this.#uniforms?.size ?? 0);
  }

  /**
   * Records the run again; nothing waits for the GPU.
   *
   * @returns {@linkcode CapturedPlan.result}, with new values.
   * @throws KW-CAPTURE-STALE when a tensor that the plan reads has been released, or the plan was disposed.
   */
  replay(): R {
    if (this.#disposed || this.#outside.some((o) => o.buffer.owner !== o.owner)) {
      raise(
        "KW-CAPTURE-STALE",
        "Cannot replay a captured plan: memory that it uses has been released",
        "Capture it again.",
      );
    }
    for (const effect of this.#effects) effect();
    const { stream } = this.#gpu;
    for (const step of this.#steps) {
      if ("run" in step) stream.replay(step.run, this.#touched);
      else stream.copy(step.source, step.from, step.target, step.to, step.bytes);
    }
    return this.result;
  }

  /** Whether the recorded run made this one of its results; others were there before. */
  made(t: Tensor): boolean {
    return this.#made.has(t);
  }

  /** Whether a tensor lies in the plan's memory. */
  holds(t: Tensor): boolean {
    return (t.storage as GpuStorage).buffer.arena === this.#arena;
  }

  /** Whether the run writes into a tensor. */
  writes(t: Tensor): boolean {
    return this.#written.has((t.storage as GpuStorage).buffer);
  }

  /** Releases the plan's memory, the results that it made too. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const t of this.#made) t.dispose();
    this.#gpu.stream.submit(); // the uniforms may still be waited for
    this.#gpu.pool.releaseArena(this.#arena);
    this.#uniforms?.destroy();
  }

  /** Lets `using` statements dispose it. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Runs `fn`, and returns a plan that repeats it.
 *
 * `fn` is an ordinary forward: its shapes and its reading of host values are those of this run in every replay.
 *
 * @throws KW-CAPTURE-ASYNC when `fn` returns a promise; KW-CAPTURE-NESTED inside another recording; and what `fn` throws.
 */
export function record<R>(fn: () => R): CapturedPlan<R> {
  const gpu = currentGpu();
  if (gpu.stream.recorder) {
    raise(
      "KW-CAPTURE-NESTED",
      "Cannot capture while another run is being captured",
      "Capture the outer one only.",
    );
  }
  const recording = new Recording();
  gpu.stream.recorder = recording;
  gpu.pool.arena = recording.arena;
  let result: R;
  try {
    result = scope(() => {
      const made = fn();
      if (made instanceof Promise) {
        made.catch(() => {}); // its own error is not the point
        raise(
          "KW-CAPTURE-ASYNC",
          "Cannot capture a function that waits: it reads values on the host",
          "Keep the values in tensors, or run it without capture.",
        );
      }
      for (const t of tensorsIn(made)) if (isScoped(t) || recording.holds(t)) recording.made.add(t);
      return made;
    });
    for (const t of recording.made) keep(t);
  } catch (error) {
    gpu.stream.submit();
    gpu.pool.releaseArena(recording.arena);
    throw error;
  } finally {
    gpu.stream.recorder = undefined;
    gpu.pool.arena = undefined;
    recording.arena.seal();
  }
  return new CapturedPlan(gpu, recording, result);
}

/** Has `effect` repeated at each replay of the run that is being captured, if one is; for state on the host. */
export function onReplay(effect: () => void): void {
  const recorder = currentGpu().stream.recorder;
  if (recorder instanceof Recording) recorder.effects.push(effect);
}

// ---------------------------------------------------------------------------

type Noted =
  | RecordedDispatch
  | {
    readonly source: GpuBuffer;
    readonly from: number;
    readonly target: GpuBuffer;
    readonly to: number;
    readonly bytes: number;
  }
  | { readonly target: GpuBuffer; readonly to: number; readonly data: Uint8Array<ArrayBuffer> };

class Recording implements StreamRecorder {
  readonly arena: Arena = new Arena();
  readonly effects: (() => void)[] = [];
  /** The results that the run made itself. */
  readonly made: Set<Tensor> = new Set();
  readonly #noted: Noted[] = [];

  dispatch(d: RecordedDispatch): void {
    const { uniformBytes } = d.variant.reflection;
    this.#noted.push({ ...d, packed: d.packed.slice(0, uniformBytes / 4) });
  }

  copy(source: GpuBuffer, from: number, target: GpuBuffer, to: number, bytes: number): void {
    this.#noted.push({ source, from, target, to, bytes });
  }

  write(target: GpuBuffer, data: Uint8Array<ArrayBuffer>, to: number): void {
    this.#noted.push({ target, to, data: data.slice() });
  }

  /** Buffers that are not the plan's: weights, caches, inputs. */
  outside(): { buffer: GpuBuffer; owner: number }[] {
    const all = new Set<GpuBuffer>();
    for (const n of this.#noted) {
      if ("buffers" in n) n.buffers.forEach((b) => all.add(b));
      else if ("source" in n) all.add(n.source).add(n.target);
      else all.add(n.target);
    }
    return [...all].filter((b) => b.arena !== this.arena).map((buffer) => ({ buffer, owner: buffer.owner }));
  }

  /** Whether a tensor lies in the plan's memory. */
  holds(t: Tensor): boolean {
    if (t.released) return false;
    const { storage } = t;
    return storage instanceof GpuStorage && storage.buffer.arena === this.arena;
  }

  /** Buffers that the run writes into. */
  written(): Set<GpuBuffer> {
    const all = new Set<GpuBuffer>();
    for (const n of this.#noted) {
      if (!("buffers" in n)) all.add(n.target);
      else n.variant.reflection.storage.forEach((s, i) => s.writes && all.add(n.buffers[i]));
    }
    return all;
  }

  /** Fixes uniforms and host writes in memory of the plan's, and makes the bind groups. */
  prepare(gpu: Gpu): { steps: Step[]; uniforms: GPUBuffer | undefined } {
    const align = Math.max(16, gpu.limits.minUniformBufferOffsetAlignment);
    const packed: { data: Uint32Array; at: number }[] = [];
    const places = new Map<string, number>(); // layers are alike: so are their uniforms
    let size = 0;
    const place = (data: Uint32Array) => {
      const key = data.join();
      const known = places.get(key);
      if (known !== undefined) return known;
      const at = size;
      places.set(key, at);
      packed.push({ data, at });
      size = Math.ceil((at + data.byteLength) / align) * align;
      return at;
    };
    const offsets = this.#noted.map((n) =>
      "buffers" in n
        ? n.groups.map((_, g) =>
          n.variant.reflection.uniforms.filter((u) => u.group === g)
            .map((u) => place(n.packed.subarray(u.at / 4, (u.at + u.bytes) / 4)))
        )
        : []
    );
    const uniforms = size === 0 ? undefined : uniformBuffer(gpu, size, packed);
    const steps: Step[] = [];
    let run: PreparedDispatch[] | undefined;
    this.#noted.forEach((n, i) => {
      if (!("buffers" in n)) {
        run = undefined;
        steps.push("source" in n ? n : this.#constant(gpu, n.target, n.to, n.data));
        return;
      }
      if (!run) steps.push({ run: run = [] });
      const groups = n.packed.length === 0
        ? n.groups
        : gpu.pipelines.makeBindGroups(n.compiled, n.variant, n.buffers, n.sizes, uniforms!);
      const [x, y, z] = n.workgroups;
      run.push({ pipeline: n.compiled.pipeline, groups, offsets: offsets[i], x, y, z });
    });
    return { steps, uniforms };
  }

  /** What the host wrote once is copied from memory of the plan's: its target may have been used again since. */
  #constant(gpu: Gpu, target: GpuBuffer, to: number, data: Uint8Array<ArrayBuffer>): Step {
    const source = gpu.pool.acquire(data.length);
    this.arena.add(source);
    gpu.stream.write(source, data);
    return { source, from: 0, target, to, bytes: Math.ceil(data.length / 4) * 4 };
  }
}

function uniformBuffer(
  gpu: Gpu,
  size: number,
  packed: readonly { data: Uint32Array; at: number }[],
): GPUBuffer {
  const buffer = gpu.device.createBuffer({
    size: Math.ceil(size / 4) * 4,
    usage: 0x40,
    mappedAtCreation: true,
  }); // UNIFORM
  const words = new Uint32Array(buffer.getMappedRange());
  for (const { data, at } of packed) words.set(data, at / 4);
  buffer.unmap();
  return buffer;
}
