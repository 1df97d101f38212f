import { combinations, type Constants } from "../authoring/mod.ts";
import { KernelwrightError } from "../errors.ts";
import { currentGpu, guardMemory, traceAllocations } from "../gpu/mod.ts";
import { tryRandomSizes } from "./check_sizes.ts";
import { pipelinesOf } from "./check_needs.ts";
import type { KernelCheck } from "./checks.ts";
import type { SiteModel, Subject } from "./subject.ts";
import {
  compareResults,
  expectation,
  failOverruns,
  type Result,
  runKernel,
  type Setup,
  swappedModel,
} from "./trial.ts";

/** With more combinations than this only the first two shapes are run with each. */
const MANY = 16;

/**
 * Every combination of the constants that the kernel has tuned gives the right numbers and stays inside its tensors,
 * on the fixed shapes, and on random ones in turn: the fastest of them will run, on whatever sizes. A combination that
 * this adapter cannot run, tuning drops too.
 */
export function tunedCheck(subject: Subject, seed: number): KernelCheck | undefined {
  const { tune } = subject.kernel;
  if (!tune) return undefined;
  const all = combinations(tune);
  const shapes = subject.shapes.slice(0, all.length > MANY ? 2 : undefined);
  return {
    name: "every tuned constant",
    run: async (dtype) => {
      const running = new Set<Constants>();
      for (const dims of shapes) {
        const expected = await expectation(subject, { dims, dtype, seed });
        traceAllocations(true);
        const guard = guardMemory();
        const model = await swappedModel(subject, { dims, dtype, seed });
        try {
          for (const constants of all) {
            const setup: Setup = { dims, dtype, seed, constants };
            const actual = await runWhereItCan(subject, model, setup);
            if (!actual) continue;
            running.add(constants);
            failOverruns(subject, setup, await guard.check());
            await compareResults(subject, setup, actual, expected);
          }
        } finally {
          model.dispose();
          guard.end();
          traceAllocations(false);
        }
      }
      if (running.size === 0) return;
      await tryRandomSizes(subject, { dtype, seed }, [...running], async (setup) => {
        const model = await swappedModel(subject, setup);
        try {
          const actual = await runWhereItCan(subject, model, setup);
          if (actual) await compareResults(subject, setup, actual, await expectation(subject, setup));
        } finally {
          model.dispose();
        }
      });
    },
  };
}

// ---------------------------------------------------------------------------

/** The results, or undefined where the shaders do not compile or exceed a limit with these constants. */
async function runWhereItCan(
  subject: Subject,
  model: SiteModel,
  setup: Setup,
): Promise<Result[] | undefined> {
  const gpu = currentGpu();
  try {
    await gpu.pipelines.prepare(pipelinesOf(subject, model, setup));
    return await runKernel(subject, model, setup);
  } catch (error) {
    gpu.throwIfLost(error);
    if (error instanceof KernelwrightError && /^KW-(SHADER|GPU|DISPATCH)/.test(error.code)) return undefined;
    throw error;
  }
}
