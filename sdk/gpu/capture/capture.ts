/**
 * A function that is recorded once for each shape of its arguments and replayed from then on.
 *
 *   f(x)  ──► a plan for x's shape?  ──no──► record fn on inputs of the plan's own; keep the plan
 *                                    └─yes─► copy x into the plan's inputs, replay
 *         ──► copies of the plan's results: what a call returned stays as it was when the next call runs
 *
 * Where a plan would be wrong (fn waits, or looks at values on the host) fn simply runs, and `notes` says why.
 */
import { checkArgument, checkOptions, type OptionNames } from "../../arguments.ts";
import { KernelwrightError } from "../../errors.ts";
import { byteLength, currentTracer, keep, mapTensors, Tensor } from "../../tensor/mod.ts";
import { type RecordedPlan, recordPlan } from "./record.ts";
import { signatureOf } from "./arguments.ts";
import { currentGpu, gpuIfOpen } from "../device.ts";
import type { GpuStorage } from "../device/backend.ts";

/** How much {@linkcode capture} may keep. */
export interface CaptureOptions {
  /** The most plans; the one that was used longest ago goes first. Defaults to 8. */
  readonly maxPlans?: number;
  /** The most bytes of GPU memory that all plans hold together. Defaults to 256 MiB. */
  readonly maxBytes?: number;
}

const OPTIONS: OptionNames<CaptureOptions> = { maxPlans: true, maxBytes: true };

/** A function made by {@linkcode capture}. */
export interface CapturedFunction<A extends readonly unknown[], R> {
  /** Runs the function, from a plan where there is one. */
  (...args: A): R;
  /** Why calls ran without a plan, or plans were dropped; each reason once. */
  readonly notes: readonly string[];
  /** How many plans are held. */
  readonly plans: number;
  /** Bytes of GPU memory that they hold. */
  readonly bytes: number;
  /** Lets go of all plans. The function can still be called. */
  dispose(): void;
  /** Lets `using` statements dispose it. */
  [Symbol.dispose](): void;
}

/**
 * Makes a function whose runs are recorded once for each signature of its arguments, and replayed without any
 * per-operator JavaScript. Its numbers are those of `fn`, bit for bit.
 *
 * The signature is the shape and dtype of tensors (also in arrays and plain objects), the value of numbers and
 * words, and the identity of everything else. Tensors are copied into the plan and results out of it; parameters,
 * and tensors that `fn` reaches by itself, are used where they are. What `fn` does on the host besides happens when
 * it is recorded only. Kernelize a model first and capture it then: a plan repeats the forward that it has seen.
 *
 * @example
 * ```ts
 * import { capture, type CapturedPlan, openGpu, record, Tensor } from "@kernelwright/sdk";
 * import { add, mul } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * const polynomial = (x: Tensor) => add(x, mul(x, x));
 * using fast = capture(polynomial);
 * using a = Tensor.from([1, 2, 3]), first = fast(a); // recorded
 * using b = Tensor.from([4, 5, 6]), second = fast(b); // replayed
 * assertEquals([...await first.data(), ...await second.data()], [2, 6, 12, 20, 30, 42]);
 * using plan: CapturedPlan<Tensor> = record(() => polynomial(a)); // the same by hand
 * plan.replay();
 * assertEquals([...await plan.result.data()], [2, 6, 12]);
 * ```
 */
export function capture<A extends readonly unknown[], R>(
  fn: (...args: A) => R,
  options: CaptureOptions = {},
): CapturedFunction<A, R> {
  checkArgument("capture(): fn", fn, "a function");
  checkOptions("capture(): options", options, OPTIONS);
  const plans = new Plans(fn, options);
  const captured = (...args: A): R => plans.call(args);
  Object.defineProperties(captured, {
    notes: { get: () => plans.notes },
    plans: { get: () => plans.count },
    bytes: { get: () => plans.bytes },
    dispose: { value: () => plans.dispose() },
    [Symbol.dispose]: { value: () => plans.dispose() },
  });
  return captured as CapturedFunction<A, R>;
}

// ---------------------------------------------------------------------------

interface Entry<R> {
  readonly plan: RecordedPlan<R>;
  /** The plan's own inputs, in the order of the signature's tensors. */
  readonly inputs: readonly Tensor[];
  /** Whether the run writes into each input: then the caller's tensor must change as well. */
  readonly written: readonly boolean[];
  readonly bytes: number;
}

class Plans<A extends readonly unknown[], R> {
  readonly notes: string[] = [];
  readonly #fn: (...args: A) => R;
  readonly #maxPlans: number;
  readonly #maxBytes: number;
  readonly #entries = new Map<string, Entry<R>>(); // least recently used first
  readonly #eagerKeys = new Set<string>();
  #eager = false;

  constructor(fn: (...args: A) => R, { maxPlans = 8, maxBytes = 256 * 1024 * 1024 }: CaptureOptions) {
    [this.#fn, this.#maxPlans, this.#maxBytes] = [fn, maxPlans, maxBytes];
    if (Object.prototype.toString.call(fn) === "[object AsyncFunction]") {
      this.#giveUp("The function is asynchronous: each call runs as it is.");
    }
  }

  get count(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    let sum = 0;
    for (const e of this.#entries.values()) sum += e.bytes;
    return sum;
  }

  call(args: A): R {
    // Inside a trace or another recording, this function's work is part of that one.
    if (this.#eager || currentTracer() || !gpuIfOpen() || currentGpu().stream.recorder) {
      return this.#fn(...args);
    }
    const { key, tensors, shared } = signatureOf(args);
    if (this.#eagerKeys.has(key) || tensors.some((t) => t.device !== "webgpu")) return this.#fn(...args);
    if (shared) {
      this.#note("Two arguments lie in the same memory: such calls run as they are.");
      return this.#fn(...args);
    }
    const known = this.#entries.get(key);
    if (!known) return this.#record(key, args, tensors);
    this.#entries.delete(key);
    try {
      tensors.forEach((t, i) => copy(t, known.inputs[i]));
      known.plan.replay();
    } catch (error) {
      const stale = error instanceof KernelwrightError && error.code === "KW-CAPTURE-STALE";
      if (!stale && !known.plan.broken) {
        this.#entries.set(key, known);
        throw error;
      }
      release(known);
      if (stale) this.#note("Memory that a plan used was released: it was recorded again.");
      return this.#record(key, args, tensors);
    }
    this.#entries.set(key, known);
    return this.#results(known, tensors);
  }

  dispose(): void {
    for (const e of this.#entries.values()) release(e);
    this.#entries.clear();
  }

  #record(key: string, args: A, tensors: readonly Tensor[]): R {
    const inputs = tensors.map((t) => {
      const own = keep(Tensor.empty(t.shape, { dtype: t.dtype, name: t.name }));
      copy(t, own);
      return own;
    });
    const { backend } = currentGpu();
    const reads = backend.reads;
    let plan: RecordedPlan<R>;
    try {
      plan = recordPlan(() => this.#fn(...mapTensors(args, (t) => inputs[tensors.indexOf(t)] ?? t)));
    } catch (error) {
      for (const t of inputs) t.dispose();
      if (!(error instanceof KernelwrightError && error.code === "KW-CAPTURE-ASYNC")) throw error;
      this.#giveUp("The function returns a promise: each call runs as it is.");
      return this.#fn(...args);
    }
    const bytes = inputs.reduce((n, t) => n + byteLength(t), plan.bytes);
    const entry = { plan, inputs, written: inputs.map((t) => plan.writes(t)), bytes };
    const result = this.#results(entry, tensors);
    if (backend.reads !== reads) {
      this.#giveUp("The function reads values on the host: each call runs as it is.");
      release(entry);
    } else if (bytes > this.#maxBytes) {
      this.#note(
        `A plan of ${bytes} bytes is more than maxBytes, ${this.#maxBytes}: such calls run as they are.`,
      );
      this.#eagerKeys.add(key);
      release(entry);
    } else {
      this.#entries.set(key, entry);
      this.#evict();
    }
    return result;
  }

  /** The plan's results as tensors of the caller's. */
  #results({ plan, inputs, written }: Entry<R>, tensors: readonly Tensor[]): R {
    inputs.forEach((own, i) => {
      if (written[i]) copy(own, tensors[i]);
    });
    return mapTensors(plan.result, (t) => {
      const input = inputs.findIndex((own) => own.storage === t.storage);
      if (input >= 0) return t === inputs[input] ? tensors[input] : tensors[input].reshape(t.shape);
      if (!plan.made(t)) return t; // it was there before the call
      if (!plan.holds(t)) return t.reshape(t.shape); // a view of memory that was
      const out = Tensor.empty(t.shape, { dtype: t.dtype, name: t.name });
      copy(t, out);
      return out;
    });
  }

  #evict(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= Math.max(1, this.#maxPlans) && this.bytes <= this.#maxBytes) return;
      this.#note(
        "More signatures than plans may be held: those used longest ago are recorded again when they come.",
      );
      this.#entries.delete(key);
      release(entry);
    }
  }

  #giveUp(why: string): void {
    this.#eager = true;
    this.#note(why);
    this.dispose();
  }

  #note(why: string): void {
    if (!this.notes.includes(why)) this.notes.push(why);
  }
}

function release({ plan, inputs }: Entry<unknown>): void {
  plan.dispose();
  for (const t of inputs) t.dispose();
}

function copy(source: Tensor, target: Tensor): void {
  const bytes = Math.ceil(byteLength(source) / 4) * 4;
  const [from, to] = [source.storage as GpuStorage, target.storage as GpuStorage];
  from.backend.gpu.stream.copy(from.buffer, 0, to.buffer, 0, bytes);
}
