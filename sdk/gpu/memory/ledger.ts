/**
 * Whose values can be trusted. An error belongs to the work that made it:
 *
 *   a pipeline that may not compile ─┐
 *   a buffer that may have no memory ─┼─► proofs ──► stick to what is written with them, and to all that is computed
 *   a submit that may be refused    ─┘              from that, until they are known to be good
 *
 * A read waits for the proofs of its buffer, and throws the first that failed. A buffer whose proof failed refuses to
 * be read until it is overwritten as a whole or handed out again. Nothing else is touched: neither what was recorded
 * before, nor what others do.
 */
import type { KernelwrightError } from "../../errors.ts";
import type { Proof } from "./faults.ts";
import type { GpuBuffer } from "./buffer.ts";

/** A dispatch, as far as dependencies go. */
export interface Work {
  /** Every buffer that it is bound to. */
  readonly buffers: readonly GpuBuffer[];
  /** Its pipeline. */
  readonly compiled: {
    /** Which of the buffers it may write. */
    readonly writes: readonly boolean[];
    /** Whether it compiles. */
    readonly proof: Proof;
  };
}

/** A step of a captured plan: a dispatch, or a buffer whose content begins. */
export type Flow = Work | { readonly fresh: GpuBuffer };

/** A read by the host that is under way. */
export interface Reading {
  /** What the values depend on. */
  readonly proofs: readonly Proof[];
  /** The submit that copies them. */
  readonly submit: number;
  /** The submit that last wrote them. */
  readonly written: number;
  /** Why they are not available. */
  failure: KernelwrightError | undefined;
}

/** Proofs and dependencies of one device. Submits are numbered as they reach the queue. */
export class Ledger {
  /** Submits that the device has not answered for, and the pipelines that they may be refused for. */
  readonly #open = new Map<Proof, Set<Proof>>();
  readonly #readings = new Set<Reading>();
  readonly #buffers: () => Iterable<GpuBuffer>;

  /**
   * Makes one.
   *
   * @param buffers Every buffer that there is.
   */
  constructor(buffers: () => Iterable<GpuBuffer>) {
    this.#buffers = buffers;
  }

  /** A dispatch is recorded, for submit `n`. Returns whether it is known to fail, and need not run. */
  dispatch({ buffers, compiled: { writes, proof } }: Work, n: number): boolean {
    let proofs: readonly Proof[] | undefined = proof.settled && !proof.failure ? undefined : [proof];
    for (let i = 0; i < buffers.length; i++) if (buffers[i].proofs) proofs = join(proofs, buffers[i].proofs);
    for (let i = 0; i < buffers.length; i++) {
      if (!writes[i]) continue;
      buffers[i].lastWrite = n;
      if (proofs) buffers[i].proofs = proofs;
    }
    return failureOf(proofs) !== undefined;
  }

  /** A copy is recorded; nothing of the target is left if `whole`. Returns whether it is known to fail. */
  copy(source: GpuBuffer, target: GpuBuffer, whole: boolean, n: number): boolean {
    target.lastWrite = n;
    if (source.proofs || target.proofs) {
      target.proofs = join(source.proofs, whole ? target.proof && [target.proof] : target.proofs);
    }
    return failureOf(source.proofs) !== undefined || target.proof?.failure !== undefined;
  }

  /** The host wrote; nothing of what was there is left if `whole`. */
  write(target: GpuBuffer, whole: boolean, n: number): void {
    target.lastWrite = n;
    if (whole && target.proofs) target.proofs = target.proof && [target.proof];
  }

  /** A captured plan is recorded. */
  replay(flow: readonly Flow[], n: number): void {
    for (const step of flow) {
      if ("fresh" in step) fresh(step.fresh);
      else this.dispatch(step, n);
    }
  }

  /** Buffers are written by commands that run together or not at all. */
  depend(written: readonly GpuBuffer[], proofs: readonly Proof[]): void {
    for (const b of written) b.proofs = join(b.proofs, proofs);
  }

  /**
   * Submit `n` reached the queue.
   *
   * @param proof Whether it was accepted; several submits may share one.
   * @param suspects What it would be refused for: then only what was written with them is spoilt.
   */
  submitted(proof: Proof, suspects: readonly Proof[], n: number): void {
    const known = this.#open.get(proof);
    if (known) {
      for (const s of suspects) known.add(s);
      return;
    }
    const all = new Set(suspects);
    this.#open.set(proof, all);
    proof.done.then(() => {
      this.#open.delete(proof);
      if (proof.failure && !failureOf([...all])) this.spoil(proof, n);
    });
  }

  /** Nothing of what was written in submit `n` or since can be trusted: what it computed is missing. */
  spoil(proof: Proof, n: number): void {
    for (const b of this.#buffers()) {
      if (b.lastWrite >= n) b.proofs = join(b.proofs, [proof]);
    }
    for (const r of this.#readings) {
      if (r.submit === n || r.written >= n) r.failure ??= proof.failure;
    }
  }

  /** A read is recorded, in submit `submit`. Ends with {@linkcode Ledger.end}. */
  begin(buffer: GpuBuffer, submit: number): Reading {
    const reading = { proofs: buffer.proofs ?? [], submit, written: buffer.lastWrite, failure: undefined };
    this.#readings.add(reading);
    return reading;
  }

  /** Waits until the device has answered for all that a read depends on. */
  async settled({ proofs }: Pick<Reading, "proofs">): Promise<void> {
    const waits = [...proofs, ...this.#open.keys()].filter((p) => !p.settled);
    if (waits.length > 0) await Promise.all(waits.map((p) => p.done));
  }

  /** A read is over; returns why its values cannot be trusted, if they cannot. */
  end(reading: Reading): KernelwrightError | undefined {
    this.#readings.delete(reading);
    return failureOf(reading.proofs) ?? reading.failure;
  }
}

/** A buffer's content begins: what was there before does not matter. */
export function fresh(b: GpuBuffer): void {
  b.proofs = b.proof && [b.proof];
}

/** The first of some proofs that is known to have failed. */
export function failureOf(proofs: readonly Proof[] | undefined): KernelwrightError | undefined {
  return proofs?.find((p) => p.failure)?.failure;
}

// ---------------------------------------------------------------------------

/** What is still open, or the one that failed: no more needs to be known then. */
function join(
  a: readonly Proof[] | undefined,
  b: readonly Proof[] | undefined,
): readonly Proof[] | undefined {
  if (a === b) return a;
  const all = new Set<Proof>();
  for (const p of [...a ?? [], ...b ?? []]) {
    if (p.failure) return [p];
    if (!p.settled) all.add(p);
  }
  if (all.size === 0) return undefined;
  return all.size === a?.length ? a : [...all];
}
