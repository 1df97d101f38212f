import { largestOf } from "../../extremes.ts";
import { KernelwrightError } from "../../errors.ts";
import type { Module } from "../../nn/mod.ts";
import { keep, type Parameter, referenceValues, scope, Tensor } from "../../tensor/mod.ts";

/** Multiply-adds above which float64 on the host would take longer than it is worth. */
const MOST_WORK = 3e8;

/**
 * Runs modules in float64 on the host, with copies of their parameters.
 *
 * @param run What is done with them; its arguments are on the reference device.
 * @returns The values of each result, or undefined where the work is too long, or a module has no reference.
 */
export async function onReference(
  modules: readonly Module[],
  args: readonly unknown[],
  run: (args: readonly unknown[]) => readonly Tensor[],
): Promise<ArrayLike<number>[] | undefined> {
  const parameters = [...new Set(modules.flatMap((m) => [...m.namedParameters()].map(([, p]) => p)))];
  const rows = largestOf(
    args.map((a) => a instanceof Tensor ? a.size / Math.max(1, a.shape.at(-1) ?? 1) : 1),
    1,
  );
  if (rows * parameters.reduce((n, p) => n + p.size, 0) > MOST_WORK) return undefined;
  const copies = await Promise.all(parameters.map((p) => referenceCopy(p)));
  const inputs = await Promise.all(args.map(referenceArgument));
  const saved = parameters.map((p) => keep(p.reshape(p.shape)));
  try {
    parameters.forEach((p, i) => p.assign(copies[i]));
    // Nothing waits from here until the parameters are back: nobody sees them like this.
    const results = scope(() => [...run(inputs)]);
    return results.map((t) => referenceValues(t).slice());
  } catch (error) {
    if (error instanceof KernelwrightError && error.code === "KW-DISPATCH-DEVICE") return undefined;
    throw error;
  } finally {
    parameters.forEach((p, i) => p.assign(saved[i]));
  }
}

// ---------------------------------------------------------------------------

async function referenceCopy(p: Parameter): Promise<Tensor> {
  return Tensor.from(await p.data(), { shape: p.shape, dtype: p.dtype, device: "reference" });
}

async function referenceArgument(value: unknown): Promise<unknown> {
  if (value instanceof Tensor) {
    return Tensor.from(await value.data(), { shape: value.shape, dtype: value.dtype, device: "reference" });
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = await Promise.all(
    Object.entries(value).map(async ([k, v]) => [k, await referenceArgument(v)] as const),
  );
  return Object.fromEntries(entries);
}
