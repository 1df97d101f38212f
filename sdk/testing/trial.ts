/** One run of a kernel beside what is right. */
import type { Constants } from "../authoring/mod.ts";
import { KernelwrightError } from "../errors.ts";
import type { Overrun } from "../gpu/mod.ts";
import { type DType, scope, type Shape, type Tensor, tensorsIn } from "../tensor/mod.ts";
import { describeMismatches, mismatches, rounded, type Tolerance, valuesOf } from "./assert_close.ts";
import { type Dims, TOLERANCES } from "./options.ts";
import type { Fill } from "./random.ts";
import type { SiteModel, Subject } from "./subject.ts";

/** What a trial is made from: the same setup gives the same numbers. */
export interface Setup {
  /** The sizes. */
  readonly dims: Dims;
  /** The element type. */
  readonly dtype: DType;
  /** The seed of parameters and inputs. */
  readonly seed: number;
  /** The inputs' values. */
  readonly values?: Fill;
  /** The parameters' values. */
  readonly weights?: Fill;
  /** Values of the kernel's tuned constants; defaults to its defaults. */
  readonly constants?: Constants;
  /** Whether any value that is not finite will do where one is expected. */
  readonly anyNonFinite?: boolean;
}

/** One result: shape, dtype and values. */
export interface Result {
  /** The input that the forward wrote it to; undefined for what it returned. */
  readonly input?: string;
  /** Its shape. */
  readonly shape: Shape;
  /** Its element type. */
  readonly dtype: DType;
  /** Its values. */
  readonly values: ArrayLike<number>;
}

/** What should come out, and what the original makes of it on the GPU. */
export interface Expectation {
  /** From the reference device, in float64. */
  readonly right: readonly Result[];
  /** From the original modules on the GPU; run only where the kernel is off, to see whether they are too. */
  readonly original: () => Promise<readonly Result[]>;
}

/** Computes what should come out. */
export async function expectation(subject: Subject, setup: Setup): Promise<Expectation> {
  return {
    right: await runModel(subject, setup, "reference"),
    original: () => runModel(subject, setup, "webgpu"),
  };
}

/** A model with filled parameters and the kernel in it. The caller disposes it. */
export async function swappedModel(subject: Subject, setup: Setup): Promise<SiteModel> {
  const model = subject.model(setup.dims, setup.dtype);
  subject.fillParameters(model, "webgpu", setup.seed, setup.weights);
  await subject.swap(model, setup.dims, setup.dtype);
  return model;
}

/** Runs the kernel on a setup's inputs. */
export async function runKernel(subject: Subject, model: SiteModel, setup: Setup): Promise<Result[]> {
  const inputs = subject.inputs(setup.dims, setup.dtype, "webgpu", setup.seed, setup.values);
  try {
    const returned = await read(scope(() => {
      const result = subject.run(model, inputs, setup.constants);
      if ([...tensorsIn(result)].some((t) => t.device === "meta")) {
        fail(subject, setup, "The kernel returned a tensor on meta, which has no values", [
          "it was kept from another call: a forward makes new results each time",
        ]);
      }
      return result;
    }));
    return [...returned, ...await readWritten(subject, setup, inputs)];
  } finally {
    for (const t of inputs) t.dispose();
  }
}

/** Runs the kernel and holds it against what is right. Throws KW-TEST-CHECK. */
export async function compareKernel(subject: Subject, setup: Setup): Promise<void> {
  const expected = await expectation(subject, setup);
  const model = await swappedModel(subject, setup);
  try {
    await compareResults(subject, setup, await runKernel(subject, model, setup), expected);
  } finally {
    model.dispose();
  }
}

/** Holds results against what is right. Throws KW-TEST-CHECK with where, by how much, the sizes and the seed. */
export async function compareResults(
  subject: Subject,
  setup: Setup,
  actual: readonly Result[],
  expected: Expectation,
): Promise<void> {
  const tolerance = toleranceFor(subject, setup.dtype);
  const { right } = expected;
  const [gave, wants] = [actual, right].map((results) => results.filter((r) => !r.input).length);
  if (gave !== wants) fail(subject, setup, `The kernel gave ${gave} tensors, and ${wants} were expected`);
  for (const [n, r] of right.entries()) {
    const { values, shape, dtype } = actual[n];
    if (shape.join() !== r.shape.join() || dtype !== r.dtype) {
      fail(subject, setup, `The kernel gave ${dtype} [${shape}], and ${r.dtype} [${r.shape}] was expected`);
    }
    const wanted = Array.from(r.values, (v) => rounded(v, dtype));
    if (mismatches(values, wanted, shape, tolerance).length === 0) continue;
    const original = (await expected.original())[n].values;
    const wrong = mismatches(
      values,
      wanted,
      shape,
      tolerance,
      (i) => excused(values[i], original[i], wanted[i], setup.anyNonFinite),
    );
    if (wrong.length === 0) continue;
    const { what, notes } = describeMismatches(wrong, shape, tolerance);
    const where = r.input ? `"${r.input}": ` : right.length > 1 ? `Output ${n}: ` : "";
    fail(subject, setup, where + what, notes);
  }
}

/** Raises KW-TEST-CHECK with the setup that it happened in. */
export function fail(subject: Subject, setup: Setup, what: string, notes: readonly string[] = []): never {
  throw new KernelwrightError({
    code: "KW-TEST-CHECK",
    what,
    where: { kernel: subject.kernel.name },
    notes: [
      ...notes,
      `with ${describeDims(setup.dims)}, ${setup.dtype}, seed ${setup.seed}` +
      (setup.constants ? `, tuned to ${describeDims(setup.constants)}` : ""),
    ],
  });
}

/** Raises KW-TEST-CHECK where something was written behind a tensor. */
export function failOverruns(subject: Subject, setup: Setup, overruns: readonly Overrun[]): void {
  if (overruns.length === 0) return;
  const lines = overruns.map(({ name, bytes, behind, madeAt }) =>
    `${name ? `"${name}"` : "a tensor"} of ${bytes} bytes, ${behind} bytes behind its end` +
    (madeAt ? `, made ${madeAt}` : "")
  );
  fail(subject, setup, "A shader wrote behind the end of a tensor", lines);
}

/** `{ batch: 2, width: 33 }`, as one pastes it into `shapes`. */
export function describeDims(dims: Dims): string {
  return `{ ${Object.entries(dims).map(([k, v]) => `${k}: ${v}`).join(", ")} }`;
}

// ---------------------------------------------------------------------------

/** Where the original overflows, or is as far off, the kernel need not do better. */
function excused(kernel: number, original: number, right: number, anyNonFinite?: boolean): boolean {
  if (anyNonFinite && !Number.isFinite(kernel) && !Number.isFinite(right)) return true;
  // Also NaN, which is not a distance from anything: what overflows inside of f16 ends as NaN for both.
  if (Object.is(kernel, original)) return true;
  if (Number.isFinite(original) !== Number.isFinite(right)) return true;
  return Math.abs(kernel - right) <= 2 * Math.abs(original - right);
}

function toleranceFor(subject: Subject, dtype: DType): Tolerance {
  const { tolerance } = subject.options;
  const byDType = tolerance as Partial<Record<DType, Tolerance>> | undefined;
  const own = byDType?.[dtype] ??
    (tolerance && ["rtol", "atol", "rowtol"].some((k) => k in tolerance)
      ? tolerance as Tolerance
      : undefined);
  return own ?? TOLERANCES[dtype] ?? TOLERANCES.f32!;
}

async function runModel(subject: Subject, setup: Setup, device: "reference" | "webgpu"): Promise<Result[]> {
  const model = subject.model(setup.dims, setup.dtype);
  subject.fillParameters(model, device, setup.seed, setup.weights);
  const inputs = subject.inputs(setup.dims, setup.dtype, device, setup.seed, setup.values);
  const { reference } = subject.options;
  try {
    const returned = await read(
      scope(() =>
        device === "reference" && reference ? reference(inputs, model.parts) : subject.run(model, inputs)
      ),
    );
    return [...returned, ...await readWritten(subject, setup, inputs)];
  } finally {
    for (const t of inputs) t.dispose();
    model.dispose();
  }
}

/** Reads every tensor in a value, and disposes them. */
async function read(value: unknown): Promise<Result[]> {
  const tensors: Tensor[] = [...tensorsIn(value)];
  try {
    const results: Result[] = [];
    for (const t of tensors) results.push(await resultOf(t));
    return results;
  } finally {
    for (const t of tensors) t.dispose();
  }
}

/** Reads what the forward left in the inputs that it writes. */
async function readWritten(subject: Subject, setup: Setup, inputs: readonly Tensor[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const t of subject.written(inputs, setup.dims)) results.push({ input: t.name, ...await resultOf(t) });
  return results;
}

async function resultOf(t: Tensor): Promise<Result> {
  return { shape: t.shape, dtype: t.dtype, values: await valuesOf(t) };
}
