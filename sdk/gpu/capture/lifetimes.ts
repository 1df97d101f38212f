/**
 * Gives the values of a plan their memory, when it is known when each is needed: a value's bytes are another's after
 * its last reader.
 *
 *   dispatch   0   1   2   3   4
 *   a  8 KiB   ███████             ┐ one buffer of 8 KiB
 *   c  4 KiB           ███████     ┘
 *   b  4 KiB       ███████           a buffer of 4 KiB
 *
 * Largest first, each to the first buffer that is free all its life: at most a little more than the largest live set
 * (the greedy method of Pisarchyk and Lee, «Efficient Memory Management for Deep Neural Net Inference», 2020). Whole
 * buffers, not ranges of one: WebGPU forbids a dispatch to read one part of a buffer and write another.
 */

/** A value: how large it is, and the first and the last step that needs it. */
export interface Lifetime {
  /** Its size. */
  readonly bytes: number;
  /** The step that makes it. */
  readonly first: number;
  /** The last step that reads or writes it. */
  readonly last: number;
}

/** Values that share a buffer. */
export interface Slot<L extends Lifetime> {
  /** The size of the buffer: that of its largest value. */
  readonly bytes: number;
  /** Its values. No two are alive at the same step. */
  readonly values: L[];
}

/**
 * Sorts values into as little memory as it finds.
 *
 * @param fixed Slots that are there anyway; values that fit are added to them.
 * @returns `fixed`, and the slots that are needed besides.
 */
export function packLifetimes<L extends Lifetime>(
  values: readonly L[],
  fixed: readonly Slot<L>[] = [],
): Slot<L>[] {
  const slots = [...fixed];
  for (const value of [...values].sort((a, b) => b.bytes - a.bytes || a.first - b.first)) {
    const free = slots.find((s) =>
      s.bytes >= value.bytes && s.values.every((v) => v.last < value.first || value.last < v.first)
    );
    if (free) free.values.push(value);
    else slots.push({ bytes: value.bytes, values: [value] });
  }
  return slots;
}
