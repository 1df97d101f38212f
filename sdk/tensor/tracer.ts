import { checkFields, checkFunction } from "../arguments.ts";
import { type Ambient, ambient } from "../ambient.ts";
import type { Tensor } from "./tensor.ts";

/** Told of everything that happens while a forward runs on meta. */
export interface Tracer {
  /** An operator, a reshape or a dispatch read `inputs` and made or wrote `outputs`. */
  op(name: string, inputs: readonly Tensor[], outputs: readonly Tensor[]): void;
}

/**
 * The tracer at work, if a forward is being traced. While there is one, every new tensor is on meta.
 *
 * @example
 * ```ts
 * import { currentTracer, withTracer } from "@kernelwright/sdk/inspect";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(currentTracer(), undefined);
 * const tracer = { op: () => {} };
 * assertEquals(withTracer(tracer, currentTracer), tracer);
 * ```
 */
export function currentTracer(): Tracer | undefined {
  return tracer.current;
}

/**
 * Runs `fn` with a tracer: nothing is computed, only shapes and dtypes flow.
 *
 * @example
 * ```ts
 * import { Tensor } from "@kernelwright/sdk";
 * import { withTracer } from "@kernelwright/sdk/inspect";
 * import { exp, neg } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * const seen: string[] = [];
 * withTracer({ op: (name) => seen.push(name) }, () => exp(neg(Tensor.empty([1000]))));
 * assertEquals(seen, ["neg", "exp"]);
 * ```
 */
export function withTracer<T>(t: Tracer, fn: () => T): T {
  checkFunction("withTracer(): fn", fn);
  checkFields("withTracer(): t", t, { op: "a function" });
  return tracer.run(t, fn);
}

// ---------------------------------------------------------------------------

const tracer: Ambient<Tracer | undefined> = ambient<Tracer | undefined>(undefined);
