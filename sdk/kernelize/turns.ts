/** Whose turn it is with a model: two at once would each plan, or save, a tree that the other one changes. */
import { throwIfAborted } from "../abort.ts";
import type { Module } from "../nn/mod.ts";
import { withMappingOfNow } from "./config/mapping.ts";
import { orAborted } from "./or_aborted.ts";

/**
 * Runs `fn` once all that was asked of the model before is done: kernelize, tune, a save.
 *
 * @param signal Ends the waiting; `fn` sees to it once it runs. @param what What is waiting, for KW-ABORTED.
 * @returns What `fn` returns.
 */
export function takeTurn<T>(
  model: Module,
  fn: () => Promise<T>,
  signal?: AbortSignal,
  what = "kernelize",
): Promise<T> {
  const before = turns.get(model)?.done ?? Promise.resolve();
  const turn: Turn = { done: before, afterwards: [] };
  let begun = false;
  const run = withMappingOfNow(() => {
    throwIfAborted(signal, what);
    begun = true;
    return fn();
  });
  const result = before.then(run).finally(() => {
    if (turns.get(model) === turn) turns.delete(model);
    for (const next of turn.afterwards.splice(0)) next();
  });
  turn.done = result.catch(() => {});
  turns.set(model, turn);
  return orAborted(result, signal, what, () => !begun);
}

/**
 * Runs `fn` at once where nobody has a turn with the model; else as the end of the last turn that was asked for, before
 * whoever awaits that goes on.
 */
export function afterTurns(model: Module, fn: () => void): void {
  const turn = turns.get(model);
  if (turn) turn.afterwards.push(fn);
  else fn();
}

// ---------------------------------------------------------------------------

interface Turn {
  done: Promise<unknown>;
  readonly afterwards: (() => void)[];
}

/** By model, the turn that was asked for last, until it is over. */
const turns = new WeakMap<Module, Turn>();
