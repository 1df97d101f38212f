import type { Params } from "./protocol.ts";
import type { Program } from "./process.ts";

/** How long and how often. */
export interface Effort {
  /** Rounds in which each contender has one turn. */
  readonly rounds: number;
  /** How long a train of calls should take, in milliseconds. */
  readonly train: number;
  /** Whether only a few cases are wanted. */
  readonly quick: boolean;
  /** Whether the peers take part. */
  readonly peers: boolean;
}

/** Smallest, middle and largest of the rounds. */
export interface Spread {
  /** The smallest. */
  readonly min: number;
  /** The middle one. */
  readonly median: number;
  /** The largest. */
  readonly max: number;
}

/** What one contender did in one case. */
export interface Score {
  /** The contender. */
  readonly name: string;
  /** Milliseconds a call. */
  readonly ms?: Spread;
  /** Times as long as the baseline in the same round. */
  readonly ratio?: Spread;
  /** Largest distance from the float64 reference, as a share of the reference's largest number. */
  readonly error?: number;
  /** Why the number is missing, or what is to be known about it. */
  readonly note?: string;
}

/** One case with everybody's score; the first one is the baseline. */
export interface Row {
  /** The case. */
  readonly name: string;
  /** The scores. */
  readonly scores: readonly Score[];
}

/** What a subject gives: scores to compare, or lines of facts. */
export interface Report {
  /** Rows of a comparison. */
  readonly rows?: readonly Row[];
  /** A table of facts, its head first. */
  readonly facts?: readonly (readonly string[])[];
  /** Sentences below the table. */
  readonly notes?: readonly string[];
}

/** Something to measure: a file in subjects/. */
export interface Subject {
  /** Its name, which `--only` looks at. */
  readonly name: string;
  /** A sentence above its table. */
  readonly about: string;
  /** Measures. `say` shows progress. */
  readonly run: (effort: Effort, say: (line: string) => void) => Promise<Report>;
}

/** A case that contenders run. */
export interface Case {
  /** Its name in the table. */
  readonly name: string;
  /** What contenders are told. */
  readonly params: Params;
  /** How many numbers the output has; none means that it is not checked. */
  readonly size?: number;
  /** The output at these places, in float64. */
  readonly reference?: (at: readonly number[]) => ArrayLike<number> | Promise<ArrayLike<number>>;
  /** The largest error that counts as right; defaults to 1e-4. */
  readonly tolerance?: number;
  /** Calls in a train, where their number matters; otherwise as many as fill the time. */
  readonly calls?: number;
}

export type { Program };
