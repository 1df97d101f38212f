import { checkFunction, refuseArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Runs `fn` and releases every tensor made inside, except those in what it returns (looked for in arrays and
 * plain objects) and those given to {@linkcode keep}.
 *
 * @throws KW-SCOPE-ASYNC when `fn` returns a promise: what it makes later would belong to nobody.
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

/** Takes a tensor out of the scopes around it: it lives until it is disposed. Returns it. */
export function keep<T extends Tensor>(t: T): T {
  forget(t);
  return t;
}

/** Every tensor in a value: the value itself, or inside arrays, maps and plain objects. */
export function tensorsIn(
  value: unknown,
  found: Set<Tensor> = new Set(),
  seen: Set<unknown> = new Set(),
): Set<Tensor> {
  if (!(found instanceof Set)) refuseArgument("tensorsIn(): found", found, "a Set");
  if (!(seen instanceof Set)) refuseArgument("tensorsIn(): seen", seen, "a Set");
  if (typeof value !== "object" || value === null || seen.has(value)) return found;
  if (isTensor(value)) return found.add(value);
  seen.add(value);
  if (Array.isArray(value) || value instanceof Set) { for (const v of value) tensorsIn(v, found, seen); }
  else if (value instanceof Map) { for (const v of value.values()) tensorsIn(v, found, seen); }
  else if (isPlain(value)) { for (const v of Object.values(value)) tensorsIn(v, found, seen); }
  return found;
}

/** Registers a tensor with the innermost scope, unless it has no memory that would be `scoped`. */
export function adopt(t: Tensor, scoped = true): void {
  if (typeof t?.dispose !== "function") refuseArgument("adopt(): t", t, "a Tensor");
  known.add(t);
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

const known = new WeakSet<object>(); // told by membership, since tensor.ts imports this file

function isTensor(value: object): value is Tensor {
  return known.has(value);
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
