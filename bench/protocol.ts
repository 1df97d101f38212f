/**
 * What the bench and its contenders say to each other: a line of JSON each way, over stdin and stdout.
 *
 *   bench ── { ask: "prepare", work, params } ──►  contender   makes inputs, compiles, runs once
 *         ── { ask: "values", at } ──►             numbers of the output at these places
 *         ── { ask: "time", calls } ──►            milliseconds for so many calls and one wait
 *         ── { ask: "drop" } ──►                   lets go of the case
 *
 * Each contender is a process of its own, so that nobody's garbage or driver threads are another's.
 */

/** The sizes of a case, and what else tells it from others. */
export type Params = Readonly<Record<string, number | string>>;

/** What the bench asks. */
export type Question =
  | { readonly ask: "prepare"; readonly work: string; readonly params: Params }
  | { readonly ask: "values"; readonly at: readonly number[] }
  | { readonly ask: "time"; readonly calls: number }
  | { readonly ask: "drop" };

/** What a contender answers. */
export type Answer =
  | { readonly ok: true }
  | { readonly values: readonly number[] }
  | { readonly ms: number }
  | { readonly facts: Readonly<Record<string, number | string>> }
  /** It does not do this case; not a failure. */
  | { readonly cannot: string };

/** One case of a contender's, prepared. */
export interface Prepared {
  /** Does the work once. What it returns is awaited; work on a GPU need not be waited for. */
  readonly call: () => void | Promise<unknown>;
  /** Waits until every call's work has been done. */
  readonly wait: () => Promise<unknown>;
  /** Numbers of the last call's output. */
  readonly values: (at: readonly number[]) => Promise<ArrayLike<number>>;
  /** Called before each timed train. */
  readonly rewind?: () => void;
  /** Lets go of the case. */
  readonly drop?: () => void;
}

/** Makes a case ready to run, says why it cannot, or measures something by itself and tells the facts. */
export type Prepare = (
  work: string,
  params: Params,
) => Promise<Prepared | { readonly cannot: string } | { readonly facts: Record<string, number | string> }>;
