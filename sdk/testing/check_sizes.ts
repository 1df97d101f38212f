import fc from "fast-check";
import type { Constants } from "../authoring/mod.ts";
import { KernelwrightError } from "../errors.ts";
import type { KernelCheck } from "./checks.ts";
import type { Dims, SizeRange } from "./options.ts";
import type { Subject } from "./subject.ts";
import { compareKernel, describeDims, type Setup } from "./trial.ts";

/** Random sizes; a failure is shrunk to the smallest sizes that still fail. */
export function randomSizesCheck(subject: Subject, seed: number): KernelCheck {
  return {
    name: "sizes of any kind",
    run: (dtype) => tryRandomSizes(subject, { dtype, seed }, [undefined], (s) => compareKernel(subject, s)),
  };
}

/**
 * Tries a kernel on random sizes, each with one of some choices of its tuned constants.
 *
 * @throws KW-TEST-CHECK, or what `run` throws, for the smallest sizes that were found to fail.
 */
export async function tryRandomSizes(
  subject: Subject,
  setup: Omit<Setup, "dims">,
  choices: readonly (Constants | undefined)[],
  run: (setup: Setup) => Promise<void>,
): Promise<void> {
  const property = fc.asyncProperty(
    dimsOf(subject.sizes),
    fc.constantFrom(...choices),
    (dims, constants) => run({ ...setup, dims, constants }),
  );
  const details = await fc.check(property, {
    numRuns: subject.options.runs ?? Math.max(12, choices.length),
    seed: setup.seed,
    interruptAfterTimeLimit: 30_000, // shrinking too
  });
  if (!details.failed || details.counterexample === null) return;
  const cause = details.errorInstance;
  const given = cause instanceof KernelwrightError
    ? cause.diagnostic // its own code and advice: also where the kernel did not run at all
    : { code: "KW-TEST-CHECK" as const, what: String(cause), where: { kernel: subject.kernel.name } };
  const smallest = `the smallest sizes that fail: ${describeDims(details.counterexample[0])} ` +
    `(after ${details.numRuns} runs, ${details.numShrinks} times smaller)`;
  throw new KernelwrightError({ ...given, notes: [...given.notes ?? [], smallest] }, cause);
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
