/**
 * Records a run once and replays it without any per-operator JavaScript.
 *
 *   record(fn)   runs fn as usual; what the stream is told is also written down:
 *                  pipelines, bind groups, uniforms, workgroup counts, copies
 *   replay()     one loop over that list, into the pass that is open
 *
 * What varies from run to run (token ids, the position) lies in tensors that the shaders read: the list is the same.
 * Buffers made inside belong to the plan, which holds about its largest live set: a value's memory is another's after
 * its last reader. Numbers are those of the recorded run, bit for bit: it is the same work.
 */
import { checkArgument } from "../../arguments.ts";
import { type KernelwrightError, raise } from "../../errors.ts";
import {
  isScoped,
  keep,
  noteWrite,
  scope,
  type Tensor,
  tensorsIn,
  writesAreGuarded,
} from "../../tensor/mod.ts";
import type { Arena } from "../memory/arena.ts";
import { currentGpu, type OpenedGpu, openedGpu } from "../device.ts";
import type { GpuStorage } from "../device/backend.ts";
import type { Proof } from "../memory/faults.ts";
import { fresh } from "../memory/ledger.ts";
import type { GpuBuffer } from "../memory/buffer.ts";
import { Recording, type Step } from "./recording.ts";

/**
 * A run that can be repeated.
 * See the example of {@linkcode capture}.
 */
export interface CapturedPlan<R = unknown> {
  /** What the recorded function returned. A replay writes new values into the same tensors. */
  readonly result: R;
  /** How many dispatches a replay makes. */
  readonly dispatches: number;
  /** Bytes of GPU memory that belong to the plan. */
  readonly bytes: number;
  /** Whether everything that the plan uses is still there. */
  readonly current: boolean;
  /**
   * Records the run again; nothing waits for the GPU.
   *
   * @returns {@linkcode CapturedPlan.result}, with new values.
   * @throws KW-SHADER-COMPILE where a shader of the run did not compile; KW-KERNEL-WRITES where a kernel's forward replays what writes memory that it may not; KW-CAPTURE-NESTED inside a recording; KW-CAPTURE-STALE when a tensor that the plan reads has been released, or the plan was disposed.
   */
  replay(): R;
  /** Releases the plan's memory, the results that it made too. */
  dispose(): void;
  /** Lets `using` statements dispose it. */
  [Symbol.dispose](): void;
}

/** All of a plan. */
export class RecordedPlan<R = unknown> implements CapturedPlan<R> {
  /** What the recorded function returned. A replay writes new values into the same tensors. */
  readonly result: R;
  /** How many dispatches a replay makes. */
  readonly dispatches: number;
  /** Bytes of GPU memory that belong to the plan. */
  readonly bytes: number;
  readonly #gpu: OpenedGpu;
  readonly #steps: readonly Step[];
  readonly #arena: Arena;
  readonly #uniforms: GPUBuffer | undefined;
  readonly #outside: readonly { readonly buffer: GpuBuffer; readonly owner: number }[];
  readonly #effects: readonly (() => void)[];
  readonly #conditions: readonly (() => boolean)[];
  readonly #proofs: readonly Proof[];
  readonly #made: ReadonlySet<Tensor>;
  readonly #written: ReadonlySet<GpuBuffer>;
  readonly #changed: ReadonlyMap<GpuBuffer, string>;
  #disposed = false;

  /** Use {@linkcode record}. */
  constructor(gpu: OpenedGpu, recording: Recording, result: R) {
    this.#gpu = gpu;
    this.result = result;
    this.#arena = recording.arena;
    this.#effects = recording.effects;
    this.#conditions = recording.conditions;
    this.#made = recording.made;
    this.#written = recording.written();
    this.#outside = recording.outside();
    this.#changed = recording.changed();
    recording.pack(gpu);
    ({ steps: this.#steps, uniforms: this.#uniforms } = recording.prepare(gpu));
    this.#proofs = [...recording.proofs()];
    this.dispatches = this.#steps.reduce((n, s) => n + ("run" in s ? s.run.length : 0), 0);
    this.bytes = [...this.#arena.buffers].reduce((n, b) => n + b.size, this.#uniforms?.size ?? 0);
  }

  /** As {@linkcode CapturedPlan.replay} says. */
  replay(): R {
    if (!this.current) {
      raise(
        "KW-CAPTURE-STALE",
        "Cannot replay a captured plan: memory that it uses has been released, or what it was recorded for has changed",
        "Capture it again.",
      );
    }
    if (this.#gpu.stream.recorder) {
      raise(
        "KW-CAPTURE-NESTED",
        "Cannot replay a captured plan while another run is being captured",
        "Call the function itself there: its work becomes part of the outer plan.",
      );
    }
    this.#gpu.throwIfLost();
    const failed = this.broken;
    if (failed) this.#gpu.faults.tell(failed);
    if (writesAreGuarded() && this.#changed.size > 0) this.#noteWrites();
    for (const effect of this.#effects) effect();
    const { stream } = this.#gpu;
    // Before the driver has accepted all pipelines, each run shares its command buffer with nobody.
    const suspects = this.#proofs.filter((p) => !p.settled);
    for (const step of this.#steps) {
      if ("run" in step) stream.replay(step, suspects);
      else {
        if (step.fresh) fresh(step.target);
        stream.copy(step.source, step.from, step.target, step.to, step.bytes);
      }
    }
    return this.result;
  }

  /** Whether everything that the plan uses is still there. */
  get current(): boolean {
    return !this.#disposed && this.#conditions.every((holds) => holds()) &&
      this.#outside.every((o) => o.buffer.owner === o.owner && o.buffer.held);
  }

  /** Why the run that was recorded did not work, if it did not: no replay would. */
  get broken(): KernelwrightError | undefined {
    return this.#proofs.find((p) => p.failure)?.failure;
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

  /** What a replay changes is written as by dispatches of one's own, and whoever guards it is asked. */
  #noteWrites(): void {
    for (const storage of this.#gpu.backend.live) {
      const by = this.#changed.get(storage.buffer);
      if (by !== undefined) noteWrite(storage, `${by}, in a captured plan`);
    }
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
 * See the example of {@linkcode capture}.
 *
 * @throws KW-CAPTURE-ASYNC when `fn` returns a promise; KW-CAPTURE-NESTED inside another recording; and what `fn` throws.
 */
export function record<R>(fn: () => R): CapturedPlan<R> {
  checkArgument("record(): fn", fn, "a function");
  return recordPlan(fn);
}

/** {@linkcode record}, with all of the plan. */
export function recordPlan<R>(fn: () => R): RecordedPlan<R> {
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
  }
  return new RecordedPlan(gpu, recording, result);
}

/**
 * Lets the run that is being captured, if one is, be replayed only while `holds` says so: for what was read on the host,
 * such as a length that numbers depend on.
 */
export function replayWhile(holds: () => boolean): void {
  checkArgument("replayWhile(): holds", holds, "a function");
  const recorder = openedGpu()?.stream.recorder;
  if (recorder instanceof Recording) recorder.conditions.push(holds);
}

/** Has `effect` repeated at each replay of the run that is being captured, if one is; for state on the host. */
export function onReplay(effect: () => void): void {
  checkArgument("onReplay(): effect", effect, "a function");
  const recorder = currentGpu().stream.recorder;
  if (recorder instanceof Recording) recorder.effects.push(effect);
}
