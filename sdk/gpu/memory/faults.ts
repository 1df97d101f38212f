/**
 * What goes wrong on a device, and who is told.
 *
 *   a call of ours      under error scopes: its Proof says whether it succeeded, a moment later
 *   another call        an "uncapturederror" event: thrown by the first wait after it, since nobody knows whom it concerns
 *   the device is gone  everything throws KW-GPU-LOST; what it died of, such as a lack of memory, is thrown first
 */
import { KernelwrightError, raise } from "../../errors.ts";

/** Whether something that the device was told succeeded. */
export class Proof {
  /** What went wrong, once that is known. */
  failure: KernelwrightError | undefined;
  /** Whether the device has answered. */
  settled = false;
  /** Resolves when it has. Never rejects. */
  readonly done: Promise<void>;

  /**
   * Makes one.
   *
   * @param verdict The error, or undefined where all is well.
   */
  constructor(verdict: Promise<KernelwrightError | undefined>) {
    this.done = verdict.then((failure) => {
      this.failure = failure;
      this.settled = true;
    });
  }
}

/** Turns an error of WebGPU into ours. */
export type Describe = (error: GPUError) => KernelwrightError | Promise<KernelwrightError>;

const ALL = ["validation", "out-of-memory", "internal"] as const;
const USUAL = ["validation", "out-of-memory"] as const;
/** Failures that nobody was told of are kept up to this many. */
const MOST_UNTOLD = 64;
/** Submits that are proven before the event loop gets a turn: what is waited for stays in memory until then. */
const MOST_AT_ONCE = 64;

/** The errors of one device. */
export class Faults {
  readonly #device: GPUDevice;
  readonly #untold = new Set<KernelwrightError>();
  readonly #known = new WeakSet<KernelwrightError>();
  #stray: KernelwrightError[] = [];
  #memory: KernelwrightError | undefined;
  #cause: KernelwrightError | undefined;
  #lost: string | undefined;
  #atOnce = 0;
  #rest: { readonly proof: Proof; readonly suspects: Set<Proof> } | undefined;

  /**
   * Makes one.
   *
   * @param onLost Called once, when the device is gone.
   */
  constructor(device: GPUDevice, onLost: () => void) {
    this.#device = device;
    device.addEventListener("uncapturederror", (event) => {
      event.preventDefault();
      const error = this.#cause ?? describeGpuError((event as GPUUncapturedErrorEvent).error);
      this.#note(error);
      this.#stray.push(error);
      if (error.code === "KW-GPU-MEMORY") this.#cause ??= error;
    });
    device.lost.then((why) => {
      this.lose(why.message || why.reason || "unknown reason");
      onLost();
    });
  }

  /** Runs `fn`, which calls the device, and proves that it succeeded. */
  scoped<T>(
    fn: () => T,
    describe: Describe = describeGpuError,
    scopes: readonly GPUErrorFilter[] = ALL,
  ): { result: T; proof: Proof } {
    for (const scope of scopes) this.#device.pushErrorScope(scope);
    let popped: Promise<GPUError | null>[] = [];
    let result: T;
    try {
      result = fn();
    } finally {
      // A device that is lost says nothing, or refuses.
      popped = scopes.map(() => this.#device.popErrorScope().catch(() => null));
    }
    return { result, proof: new Proof(this.#verdict(popped, describe)) };
  }

  /** The same for what asks for memory. `asked` is what it is for, as errors show it. */
  allocation<T>(fn: () => T, asked: () => string): { result: T; proof: Proof } {
    const made = this.scoped(fn, (error) => describeGpuError(error, asked()), USUAL);
    made.proof.done.then(() => this.#cause ??= made.proof.failure);
    return made;
  }

  /** Runs `fn`, of which it is known that it may fail, and why. */
  muted<T>(fn: () => T): T {
    for (const scope of USUAL) this.#device.pushErrorScope(scope);
    try {
      return fn();
    } finally {
      for (const _ of USUAL) this.#device.popErrorScope().catch(() => {});
    }
  }

  /**
   * Runs `fn`, which submits. Its error is that of what the commands are made of, where that failed.
   *
   * @param suspects What may not compile.
   * @returns Where there are many before the event loop gets a turn, one for all that follow.
   */
  submitted(fn: () => void, suspects: readonly Proof[]): Proof {
    if (this.#atOnce === 0) queueMicrotask(() => this.#atOnce = 0);
    const all = ++this.#atOnce > MOST_AT_ONCE;
    if (all) this.#rest ??= this.#restOfTurn();
    if (all) { for (const s of suspects) this.#rest!.suspects.add(s); }
    if (!all) return this.scoped(fn, (error) => this.#refused(error, suspects), USUAL).proof;
    fn();
    return this.#rest!.proof;
  }

  /** Runs `fn`, which asks for memory. Engines may throw where they should tell later. */
  orMemory<T>(asked: () => string, fn: () => T): T {
    try {
      return fn();
    } catch (cause) {
      this.throwIfLost(cause);
      throw outOfMemory(undefined, asked(), cause);
    }
  }

  /** Throws a failure, which is told with it. */
  tell(error: KernelwrightError): never {
    this.#told(error);
    throw error;
  }

  /** Nobody needs to be told of a failure: it will come again. */
  forget(failure: KernelwrightError | undefined): void {
    if (failure) this.#told(failure);
  }

  /** Throws what came as an event since the last wait, if anything did. */
  throwStray(): void {
    if (this.#stray.length === 0) return;
    const [first] = this.#stray.splice(0);
    this.tell(first);
  }

  /** Throws a failure that nobody was told of, if there is one. */
  throwUntold(): void {
    this.throwStray();
    const untold = [...this.#untold];
    this.#untold.clear();
    // The cause comes before what it broke.
    const first = untold.find((f) => f.code.startsWith("KW-SHADER")) ?? untold[0];
    if (first) this.tell(first);
  }

  /** Lets events that are under way arrive: the loss of a device, errors of foreign calls. */
  async arrive(): Promise<void> {
    const { port1, port2 } = new MessageChannel(); // a timer would cost a millisecond or more
    await new Promise<void>((resolve) => {
      port2.onmessage = () => resolve();
      port1.postMessage(0);
    });
    port1.close();
    port2.close();
  }

  /** After something failed: waits for what may have been the reason. */
  async reasons(): Promise<void> {
    for (let i = 0; i < 10 && this.#lost === undefined; i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** The device is gone. */
  lose(why: string): void {
    this.#lost ??= why;
  }

  /** Whether the device is gone. */
  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /**
   * Does nothing while the device is there.
   *
   * @throws KW-GPU-MEMORY once, if it died of that and nobody knows; KW-GPU-LOST when it is gone.
   */
  throwIfLost(cause?: unknown): void {
    if (this.#lost === undefined) return;
    if (this.#memory) this.tell(this.#memory);
    raise(
      "KW-GPU-LOST",
      `The GPU device was lost: ${this.#lost}`,
      "Open a device again with openGpu() and load the model again; if it recurs, use smaller shapes.",
      undefined,
      cause,
    );
  }

  /** Scopes that stay open until the event loop gets a turn. */
  #restOfTurn(): { proof: Proof; suspects: Set<Proof> } {
    const suspects = new Set<Proof>();
    for (const scope of USUAL) this.#device.pushErrorScope(scope);
    const popped = Promise.resolve().then(() => {
      this.#rest = undefined;
      return USUAL.map(() => this.#device.popErrorScope().catch(() => null));
    });
    const verdict = popped.then((all) => this.#verdict(all, (error) => this.#refused(error, suspects)));
    return { proof: new Proof(verdict), suspects };
  }

  /** Why a submit was refused. */
  async #refused(error: GPUError, suspects: Iterable<Proof>): Promise<KernelwrightError> {
    const of = [...suspects];
    await Promise.all(of.map((s) => s.done));
    const suspect = of.find((s) => s.failure)?.failure;
    if (suspect) return suspect;
    if (!this.#cause) await this.arrive(); // a lack of memory may come as an event
    return this.#cause ?? describeGpuError(error);
  }

  async #verdict(
    popped: readonly Promise<GPUError | null>[],
    describe: Describe,
  ): Promise<KernelwrightError | undefined> {
    const errors = (await Promise.all(popped)).filter((e) => e !== null);
    const error = errors.find(isMemory) ?? errors[0];
    if (!error) return undefined;
    const failure = await describe(error);
    this.#note(failure);
    return failure;
  }

  #note(failure: KernelwrightError): void {
    if (this.#known.has(failure)) return;
    this.#known.add(failure);
    if (failure.code === "KW-GPU-MEMORY") this.#memory ??= failure;
    this.#untold.add(failure);
    if (this.#untold.size > MOST_UNTOLD) this.#untold.delete(this.#untold.values().next().value!);
  }

  #told(error: KernelwrightError): void {
    this.#untold.delete(error);
    this.#stray = this.#stray.filter((e) => e !== error);
    if (this.#memory === error) this.#memory = undefined;
  }
}

/**
 * An error of WebGPU as ours.
 *
 * @param asked What was asked for, where memory is lacking.
 */
export function describeGpuError(error: GPUError, asked?: string): KernelwrightError {
  if (!isMemory(error)) return new KernelwrightError({ code: "KW-GPU-VALIDATION", what: error.message });
  return outOfMemory(error.message, typeof asked === "string" ? asked : undefined);
}

/** What is said where memory is lacking. */
export function outOfMemory(message?: string, asked?: string, cause?: unknown): KernelwrightError {
  return new KernelwrightError({
    code: "KW-GPU-MEMORY",
    what: `${asked ? `Cannot allocate ${asked}: the` : "The"} GPU is out of memory${
      message ? ` (${message})` : ""
    }`,
    fix: "Load the weights as f16, use a shorter context, or dispose tensors that are no longer needed.",
  }, cause);
}

// ---------------------------------------------------------------------------

function isMemory(error: GPUError): boolean {
  return error.constructor.name === "GPUOutOfMemoryError";
}
