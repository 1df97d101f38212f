import { KernelwrightError } from "./errors.ts";

/**
 * Stops work that was cancelled. Called between two steps, where nothing is half done.
 *
 * @param what What is stopped, as messages name it: `kernelize`, `save`.
 * @throws KW-ABORTED with the signal's reason as its cause.
 */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (!signal?.aborted) return;
  throw new KernelwrightError({
    code: "KW-ABORTED",
    what: `${what} was cancelled`,
    fix: "Nothing is to be done: everything is as it was before.",
  }, signal.reason);
}
