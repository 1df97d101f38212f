import { checkFields, checkFunction } from "../arguments.ts";
import type { Module } from "./module.ts";

/** Sits between a parent and the child it calls: tracing, timing and verification are observers. */
export interface CallObserver {
  /**
   * Called for each `module.call(…)`.
   *
   * @param next Runs the module; returns what its forward returned.
   */
  call(module: Module, args: readonly unknown[], next: () => unknown): unknown;
}

/**
 * Runs `fn`; every module call inside goes through `observer` (the innermost observer is asked first).
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { withObserver } from "@kernelwright/sdk/inspect";
 * import { ReLU } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([1, 2]);
 * const seen: string[] = [];
 * const call = (module: object, _args: readonly unknown[], next: () => unknown) => {
 *   seen.push(module.constructor.name);
 *   return next();
 * };
 * using _out = withObserver({ call }, () => new ReLU().call(x));
 * assertEquals(seen, ["ReLU"]);
 * ```
 */
export function withObserver<T>(observer: CallObserver, fn: () => T): T {
  checkFunction("withObserver(): fn", fn);
  checkFields("withObserver(): observer", observer, { call: "a function" });
  observers.push(observer);
  try {
    return fn();
  } finally {
    observers.pop();
  }
}

/**
 * Runs a module's forward through the observers.
 *
 * @example
 * ```ts
 * import { observed, withObserver } from "@kernelwright/sdk/inspect";
 * import { Identity } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * // What module.call() does; the observer answers in place of the module.
 * const answer = withObserver({ call: () => "observer" }, () => observed(new Identity(), [], () => "module"));
 * assertEquals(answer, "observer");
 * ```
 */
export function observed(module: Module, args: readonly unknown[], run: () => unknown): unknown {
  checkFunction("observed(): run", run);
  let next = run;
  for (const observer of observers) {
    const inner = next;
    next = () => observer.call(module, args, inner);
  }
  return next();
}

const observers: CallObserver[] = [];
