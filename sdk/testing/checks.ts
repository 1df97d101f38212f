/** What is checked of every kernel. */
import type { DType } from "../tensor/mod.ts";
import { conversionsCheck } from "./check_conversions.ts";
import { declaredNeedsCheck } from "./check_needs.ts";
import {
  deterministicCheck,
  inputsCheck,
  leakCheck,
  memoryCheck,
  statelessCheck,
} from "./check_behaviour.ts";
import { tunedCheck } from "./check_tuned.ts";
import { randomSizesCheck } from "./check_sizes.ts";
import { type Fill, FILLS } from "./random.ts";
import type { Dims } from "./options.ts";
import type { Subject } from "./subject.ts";
import { compareKernel } from "./trial.ts";

/** One check of a kernel. */
export interface KernelCheck {
  /** Its name: that of the test, and the key for `skip`. */
  readonly name: string;
  /** Why the author left it out, if so. */
  readonly skipped?: string;
  /** Fails with KW-TEST-CHECK, or whatever the kernel throws. */
  run(dtype: DType): Promise<void>;
}

/** The checks of a kernel, in the order in which they are best read: the plainest first. */
export function checksOf(subject: Subject): KernelCheck[] {
  const { options } = subject;
  const { seed = 0x4b57 } = options;
  const [usual] = subject.shapes;
  const parity = (name: string, dims: readonly Dims[], values?: Fill, more: object = {}): KernelCheck => ({
    name,
    run: async (dtype) => {
      for (const d of dims) await compareKernel(subject, { dims: d, dtype, seed, values, ...more });
    },
  });
  const tuned = tunedCheck(subject, seed);
  const rows = ["batch", "rows", "tokens"].find((n) => n in usual);
  const checks: KernelCheck[] = [
    parity("parity with the modules", subject.shapes),
    randomSizesCheck(subject, seed),
    ...(rows
      ? [
        parity("an empty batch", [{ ...usual, [rows]: 0 }]),
        parity("a batch of one", [{ ...usual, [rows]: 1 }]),
      ]
      : []),
    parity("large values", [usual], FILLS.large),
    parity("tiny values", [usual], FILLS.tiny),
    parity("outliers of 800", [usual], FILLS.outliers),
    parity("zeros", [usual], FILLS.zeros),
    parity("NaN comes out where it must", [usual], oneOf(NaN)),
    parity("infinity comes out where it must", [usual], oneOf(Infinity), { anyNonFinite: true }),
    deterministicCheck(subject, seed),
    inputsCheck(subject, seed),
    memoryCheck(subject, seed),
    ...(tuned ? [tuned] : []),
    conversionsCheck(subject, seed),
    leakCheck(subject, seed),
    statelessCheck(subject, seed),
    declaredNeedsCheck(subject),
    ...Object.entries(options.cases ?? {}).map(([name, c]) =>
      parity(name, [c.dims], c.values, { weights: c.weights })
    ),
  ];
  return checks.map((c) => ({ ...c, skipped: options.skip?.[c.name] }));
}

// ---------------------------------------------------------------------------

/** Usual values, and one in the first input that is no usual number: its row must show it, and no other. */
function oneOf(value: number): Fill {
  return (i, random, input) => {
    const usual = FILLS.usual(i, random);
    return i === 5 && input === 0 ? value : usual;
  };
}
