import { checkFunction, refuseArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import type { Tensor } from "./tensor.ts";
import { markTensor, tensorsIn } from "./tree.ts";

/**
 * Runs `fn` and releases every tensor made inside, except those in what it returns (looked for in arrays and
 * plain objects) and those given to {@linkcode keep}.
 *
 * @throws KW-SCOPE-ASYNC when `fn` returns a promise: what it makes later would belong to nobody.
 *
 * @example
 * ```ts
 * import { keep, memory, openGpu, scope, Tensor } from "@kernelwright/sdk";
 * import { add, mul } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = keep(Tensor.from([1, 2])); // lives on wherever it is made
 * const before = memory().tensors;
 * using y = scope(() => add(x, mul(x, x))); // the product is released
 * assertEquals(memory().tensors, before + 1);
 * assertEquals([...await y.data()], [2, 6]);
 * ```
 */
export function scope<T>(fn: () => T): T {
  checkFunction("scope(): fn", fn);
  const mine = new Set<Tensor>();
  scopes.push(mine);
  let result: T;
  try {
    result = fn();
    if (result instanceof Promise) {
      raise(
        "KW-SCOPE-ASYNC",
        "Cannot run an asynchronous function in scope()",
        "Await outside, or dispose the tensors by hand.",
      );
    }
  } catch (error) {
    scopes.pop();
    releaseAll(mine);
    throw error;
  }
  scopes.pop();
  const outer = scopes.at(-1);
  for (const t of tensorsIn(result)) {
    if (mine.delete(t)) outer?.add(t);
  }
  releaseAll(mine);
  return result;
}

/** Whether the innermost scope will release a tensor: it was made there, or handed to it. */
export function isScoped(t: Tensor): boolean {
  return scopes.at(-1)?.has(t) ?? false;
}

/**
 * Releases tensors now that the innermost scope would release at its end: nobody reads them any more. Others, such
 * as a scope's arguments and what was kept, stay.
 */
export function releaseEarly(...tensors: readonly Tensor[]): void {
  for (const t of tensors) if (isScoped(t)) t.dispose();
}

/**
 * Takes a tensor out of the scopes around it: it lives until it is disposed. Returns it.
 * See the example of {@linkcode scope}.
 */
export function keep<T extends Tensor>(t: T): T {
  forget(t);
  return t;
}

/** Registers a tensor with the innermost scope, unless it has no memory that would be `scoped`. */
export function adopt(t: Tensor, scoped = true): void {
  if (typeof t?.dispose !== "function") refuseArgument("adopt(): t", t, "a Tensor");
  markTensor(t);
  if (scoped) scopes.at(-1)?.add(t);
}

/** Removes a tensor from the scopes. */
export function forget(t: Tensor): void {
  for (let i = scopes.length - 1; i >= 0; i--) if (scopes[i].delete(t)) return;
}

// ---------------------------------------------------------------------------

const scopes: Set<Tensor>[] = [];

function releaseAll(tensors: Set<Tensor>): void {
  for (const t of tensors) t.dispose();
}
