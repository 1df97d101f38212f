import type { AsyncLocalStorage } from "node:async_hooks";
import { ambient } from "../ambient.ts";

/** A value that holds in a function and in all that it awaits. */
export interface AsyncScope<T> {
  /** The value that holds here. */
  getStore(): T | undefined;
  /** Runs `fn` with a value. */
  run<R>(value: T, fn: () => R): R;
}

/**
 * Makes an {@linkcode AsyncScope} on first use.
 *
 * On `AsyncLocalStorage`, which Deno and Node have. It is not imported: a browser, which lacks it, must still be able
 * to load the SDK. There the value holds until `fn` returns, and not after an `await`. May go when the language has
 * `AsyncContext`.
 */
export function openStorage<T>(): () => AsyncScope<T> {
  let scope: AsyncScope<T> | undefined;
  return () => scope ??= make<T>();
}

// ---------------------------------------------------------------------------

interface Host {
  readonly process?: { getBuiltinModule?(name: string): { AsyncLocalStorage: typeof AsyncLocalStorage } };
}

function make<T>(): AsyncScope<T> {
  const hooks = (globalThis as Host).process?.getBuiltinModule?.("node:async_hooks");
  return hooks ? new hooks.AsyncLocalStorage<T>() : syncScope<T>();
}

/** In a page the value holds until `fn` returns. */
function syncScope<T>(): AsyncScope<T> {
  const value = ambient<T | undefined>(undefined);
  return { getStore: () => value.current, run: (v, fn) => value.run(v, fn) };
}
