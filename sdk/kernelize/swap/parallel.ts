import { raise } from "../../errors.ts";
import { Module } from "../../nn/mod.ts";
import { adopt, keep, Tensor } from "../../tensor/mod.ts";

/**
 * The results of one kernel for several siblings: the first sibling's call runs the kernel, the others' calls take
 * the further results. Each run brings new ones; what nobody took is released by the next run.
 */
export class SharedResults {
  readonly #forward: (...args: unknown[]) => unknown;
  #waiting: unknown[] = [];

  /** @param forward The kernel's forward, which returns one result for each sibling. */
  constructor(forward: (...args: unknown[]) => unknown) {
    this.#forward = forward;
  }

  /** Runs the kernel; returns the first result. */
  run(args: readonly unknown[]): unknown {
    this.dispose();
    const results = this.#forward(...args) as unknown[];
    // The scope around this call must not release what the siblings will take.
    this.#waiting = results.map((r, i) => i > 0 && r instanceof Tensor ? keep(r) : r);
    return this.#take(0);
  }

  /** The module that takes the place of sibling `index`. */
  output(index: number): Module {
    return new ParallelOutput(() => this.#take(index));
  }

  /** Releases what nobody took. */
  dispose(): void {
    for (const left of this.#waiting.splice(0)) if (left instanceof Tensor) left.dispose();
  }

  #take(index: number): unknown {
    const result = this.#waiting[index];
    if (result === undefined) {
      raise(
        "KW-PARALLEL-ORDER",
        `Output ${index} of a parallel fusion was asked for before its kernel ran`,
        "The first sibling must run first, and each of the others once.",
      );
    }
    this.#waiting[index] = undefined;
    if (result instanceof Tensor && index > 0) adopt(result);
    return result;
  }
}

/** Stands where a sibling was, and hands out its result. */
class ParallelOutput extends Module {
  readonly #take: () => unknown;

  constructor(take: () => unknown) {
    super();
    this.#take = take;
  }

  override forward(): unknown {
    return this.#take();
  }
}
