import { beforeAll, describe, it } from "@std/testing/bdd";
import { checkOptions } from "../arguments.ts";
import type { KernelClass } from "../authoring/mod.ts";
import { KernelwrightError } from "../errors.ts";
import { currentGpu, openGpu } from "../gpu/mod.ts";
import type { DType } from "../tensor/mod.ts";
import { checksOf, type KernelCheck } from "./checks.ts";
import { TEST_OPTIONS, type TestKernelOptions } from "./options.ts";
import { Subject } from "./subject.ts";

/**
 * Registers the tests of a kernel with `deno test`.
 *
 * The modules that the site names are built, filled at random and run on the reference device (float64) and on the
 * GPU; then the kernel is swapped in with `kernelize`, through its layout's own conversions, and must agree. A failure
 * says which element, how far off, the sizes and the seed; random sizes are shrunk to the smallest that fail. A kernel
 * with a `tune` must be right with each of the values that it names.
 *
 * All tests of a file share one GPU device. A check of gradients has its place here once kernels have a backward.
 *
 * @throws KW-KERNEL-UNDECLARED for a class that is no kernel, KW-TEST-OPTION for modules that are not known and not
 * given.
 *
 * @example `fast_norm_test.ts`, run by `deno test -A`
 * ```ts
 * import { testKernel } from "@kernelwright/sdk/testing";
 * import { FastNorm } from "./fast-norm/mod.ts";
 *
 * testKernel(FastNorm, { runs: 3 });
 * ```
 */
export function testKernel(cls: KernelClass, options: TestKernelOptions = {}): void {
  checkOptions("testKernel(): options", options, TEST_OPTIONS);
  const subject = new Subject(cls, options);
  const checks = checksOf(subject);
  describe({
    name: subject.kernel.name,
    sanitizeOps: false, // the device stays open for the next group
    sanitizeResources: false,
    fn: () => {
      beforeAll(async () => {
        await openGpu();
      });
      for (const dtype of subject.dtypes) {
        const stopped: { by?: string } = {};
        for (const [i, check] of checks.entries()) register(subject, check, dtype, i === 0, stopped);
      }
    },
  });
}

/**
 * Runs the checks of a kernel without a test runner.
 *
 * @returns The name of each check that failed, with its error.
 *
 * @example
 * ```ts
 * import { checkKernel } from "@kernelwright/sdk/testing";
 * import { assertEquals } from "@std/assert";
 * import { FastNorm } from "./fast-norm/mod.ts";
 *
 * const failed = await checkKernel(FastNorm, { runs: 1 });
 * assertEquals([...failed.keys()], []);
 * ```
 */
export async function checkKernel(
  cls: KernelClass,
  options: TestKernelOptions = {},
): Promise<Map<string, unknown>> {
  checkOptions("checkKernel(): options", options, TEST_OPTIONS);
  await openGpu();
  const subject = new Subject(cls, options);
  const failed = new Map<string, unknown>();
  for (const dtype of subject.dtypes) {
    if (unsupported(subject, dtype)) continue;
    for (const check of checksOf(subject)) {
      if (check.skipped !== undefined) continue;
      await check.run(dtype).catch((error) => failed.set(check.name, error));
    }
  }
  return failed;
}

// ---------------------------------------------------------------------------

/**
 * @param first Whether it is the plainest check. A kernel that does not even run there is told so once: the others
 * would say the same.
 */
function register(
  subject: Subject,
  check: KernelCheck,
  dtype: DType,
  first: boolean,
  stopped: { by?: string },
): void {
  const name = `${dtype}: ${check.name}`;
  if (check.skipped !== undefined) {
    it.skip(`${name} (left out: ${check.skipped})`, () => {});
    return;
  }
  it(name, async (t) => {
    const why = unsupported(subject, dtype) ?? stopped.by;
    // Known only now that there is a device.
    if (why) return void await t.step({ name: `skipped: ${why}`, ignore: true, fn: () => {} });
    await check.run(dtype).catch((error) => {
      const ran = error instanceof KernelwrightError && error.code === "KW-TEST-CHECK";
      if (first && !ran) stopped.by = "the kernel does not run";
      throw error;
    });
  });
}

function unsupported(subject: Subject, dtype: DType): string | undefined {
  const { features, limits } = currentGpu();
  const needs = [...subject.kernel.requires.features ?? [], ...(dtype === "f16" ? ["shader-f16"] : [])];
  const missing = needs.find((f) => !features.has(f));
  if (missing) return `the adapter lacks "${missing}"`;
  const [low] = Object.entries(subject.kernel.requires.limits ?? {})
    .filter(([n, least]) => (limits as unknown as Record<string, number>)[n] < least);
  return low && `the adapter's ${low[0]} is below ${low[1]}`;
}
