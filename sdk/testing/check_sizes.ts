import fc from "fast-check";
import { KernelwrightError } from "../errors.ts";
import type { KernelCheck } from "./checks.ts";
import type { Dims, SizeRange } from "./options.ts";
import type { Subject } from "./subject.ts";
import { compareKernel, describeDims } from "./trial.ts";

/** Random sizes; a failure is shrunk to the smallest sizes that still fail. */
export function randomSizesCheck(subject: Subject, seed: number): KernelCheck {
  return {
    name: "sizes of any kind",
    run: async (dtype) => {
      const property = fc.asyncProperty(dimsOf(subject.sizes), async (dims) => {
        await compareKernel(subject, { dims, dtype, seed });
      });
      const details = await fc.check(property, {
        numRuns: subject.options.runs ?? 12,
        seed,
        interruptAfterTimeLimit: 30_000, // shrinking too
      });
      if (!details.failed || details.counterexample === null) return;
      const cause = details.errorInstance;
      const diagnostic = cause instanceof KernelwrightError ? cause.diagnostic : undefined;
      throw new KernelwrightError({
        code: "KW-TEST-CHECK",
        what: diagnostic?.what ?? String(cause),
        where: diagnostic?.where ?? { kernel: subject.kernel.name },
        notes: [
          ...diagnostic?.notes ?? [],
          `the smallest sizes that fail: ${
            describeDims(details.counterexample[0])
          } (after ${details.numRuns} runs, ` +
          `${details.numShrinks} times smaller)`,
        ],
      }, cause);
    },
  };
}

// ---------------------------------------------------------------------------

function dimsOf(sizes: Readonly<Record<string, SizeRange>>): fc.Arbitrary<Dims> {
  return fc.record(Object.fromEntries(
    Object.entries(sizes).map(([name, { min = 1, max = 70, multipleOf = 1 }]) => [
      name,
      fc.integer({ min: Math.ceil(min / multipleOf), max: Math.floor(max / multipleOf) }).map((n) =>
        n * multipleOf
      ),
    ]),
  ));
}
