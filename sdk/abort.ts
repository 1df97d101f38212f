import { raise } from "./errors.ts";

/**
 * Stops work that its caller no longer wants. Asked before anything begins, and between steps.
 *
 * @param what What was stopped, as it follows "Stopped": `generating`.
 * @throws KW-ABORTED with the signal's reason as its cause.
 */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (!signal?.aborted) return;
  raise("KW-ABORTED", `Stopped ${what}: the signal was aborted`, undefined, undefined, signal.reason);
}
