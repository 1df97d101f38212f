/** What a kernel does besides computing: to its inputs, to memory, and from one call to the next. */
import { KernelwrightError } from "../errors.ts";
import { gpuIfOpen, guardMemory, liveTensors, traceAllocations } from "../gpu/mod.ts";
import { scope, tensorsIn } from "../tensor/mod.ts";
import { bytesOf, firstDifference } from "./check_conversions.ts";
import type { KernelCheck } from "./checks.ts";
import type { Dims } from "./options.ts";
import type { SiteModel, Subject } from "./subject.ts";
import {
  compareResults,
  expectation,
  fail,
  failOverruns,
  type Result,
  runKernel,
  type Setup,
  swappedModel,
} from "./trial.ts";

/** The same inputs give the same bytes: nothing races, nothing unwritten is read. */
export function deterministicCheck(subject: Subject, seed: number): KernelCheck {
  return {
    name: "the same result every time",
    run: async (dtype) => {
      for (const dims of subject.shapes) {
        await withModel(subject, { dims, dtype, seed }, async (model, setup) => {
          const runs: Result[][] = [];
          for (let i = 0; i < 4; i++) runs.push(await runKernel(subject, model, setup));
          for (const later of runs.slice(1)) {
            later.forEach(({ values, shape }, n) => {
              const before = runs[0][n].values;
              const at = Array.from(values).findIndex((v, i) => !Object.is(v, before[i]));
              if (at >= 0) {
                fail(
                  subject,
                  setup,
                  `Two runs differ: value ${at} of [${shape}] was ${before[at]}, then ${values[at]}`,
                );
              }
            });
          }
        });
      }
    },
  };
}

/** Parameters, and inputs that are not there to be written, hold after a run what they held before. */
export function inputsCheck(subject: Subject, seed: number): KernelCheck {
  return {
    name: "inputs and weights left unchanged",
    run: (dtype) =>
      withModel(subject, { dims: subject.shapes[0], dtype, seed }, async (model, setup) => {
        const inputs = subject.inputs(setup.dims, dtype, "webgpu", seed);
        const written = [...subject.written(inputs, setup.dims), ...subject.declared(model, inputs)];
        const bytes = async () => {
          const all = await bytesOf(model);
          for (const t of inputs) {
            if (written.includes(t)) continue;
            const data = await t.data();
            all.set(t.name!, new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength));
          }
          return all;
        };
        const before = await bytes();
        for (const t of tensorsIn(scope(() => subject.run(model, inputs)))) t.dispose();
        const after = await bytes();
        for (const t of inputs) t.dispose();
        for (const [name, was] of before) {
          const at = firstDifference(was, after.get(name));
          if (at >= 0) fail(subject, setup, `The kernel changed "${name}", from byte ${at} on`);
        }
        // What holds by chance is refused all the same when the kernel is put into a model.
        const other = subject.model(setup.dims, setup.dtype);
        try {
          await subject.swap(other, setup.dims, setup.dtype, true);
        } catch (error) {
          if (!(error instanceof KernelwrightError)) throw error;
          const { what, fix } = error.diagnostic;
          fail(subject, setup, what, fix ? [fix] : []);
        } finally {
          other.dispose();
        }
      }),
  };
}

/** With a guard zone behind every tensor: nothing is written there, and what is read there is not used. */
export function memoryCheck(subject: Subject, seed: number): KernelCheck {
  return {
    name: "reads and writes stay inside their tensors",
    run: async (dtype) => {
      for (const dims of subject.shapes) {
        const setup: Setup = { dims, dtype, seed };
        const expected = await expectation(subject, setup);
        traceAllocations(true);
        const guard = guardMemory();
        try {
          const model = await swappedModel(subject, setup);
          const actual = await runKernel(subject, model, setup);
          const overruns = await guard.check();
          model.dispose();
          failOverruns(subject, setup, overruns);
          // Canaries are NaN: a read behind an end, or an element that nobody wrote, shows in the result.
          await compareResults(subject, setup, actual, expected);
        } finally {
          guard.end();
          traceAllocations(false);
        }
      }
    },
  };
}

/** Runs leave nothing behind. */
export function leakCheck(subject: Subject, seed: number): KernelCheck {
  return {
    name: "no tensor is left behind",
    run: (dtype) =>
      withModel(subject, { dims: subject.shapes[0], dtype, seed }, async (model, setup) => {
        const run = () => runKernel(subject, model, setup);
        await run();
        traceAllocations(true);
        try {
          const before = liveTensors().length;
          for (let i = 0; i < 3; i++) await run();
          const left = liveTensors().slice(before);
          if (left.length === 0) return;
          const lines = [...new Set(left.map((t) => `${t.bytes} bytes, made ${t.madeAt ?? "somewhere"}`))];
          fail(subject, setup, `3 runs left ${left.length} tensors behind`, lines);
        } finally {
          traceAllocations(false);
        }
      }),
  };
}

/** Two models and two shapes take turns, and neither sees the other. */
export function statelessCheck(subject: Subject, seed: number): KernelCheck {
  return {
    name: "nothing kept between calls",
    run: async (dtype) => {
      const [a, b] = [subject.shapes[0], subject.shapes.at(-1)!];
      const setups: Setup[] = [
        { dims: a, dtype, seed },
        { dims: a, dtype, seed: seed + 1 },
        { dims: otherRows(a), dtype, seed },
        { dims: b, dtype, seed: seed + 2 },
      ];
      const models = [];
      try {
        // The third setup has the first one's sizes of weights and seed, and so its weights.
        for (const s of setups) models.push(await swappedModel(subject, s));
        const order = [0, 1, 0, 2, 3, 1, 0];
        for (const i of order) {
          const actual = await runKernel(subject, models[i], setups[i]);
          await compareResults(subject, setups[i], actual, await expectation(subject, setups[i]));
        }
        const mixed = await runKernel(subject, models[0], setups[2]);
        await compareResults(subject, setups[2], mixed, await expectation(subject, setups[2]));
      } finally {
        for (const m of models) m.dispose();
      }
      await gpuIfOpen()?.sync();
    },
  };
}

// ---------------------------------------------------------------------------

async function withModel(
  subject: Subject,
  setup: Setup,
  run: (model: SiteModel, setup: Setup) => Promise<void>,
): Promise<void> {
  const model = await swappedModel(subject, setup);
  try {
    await run(model, setup);
  } finally {
    model.dispose();
  }
}

function otherRows(dims: Dims): Dims {
  const rows = ["tokens", "rows", "batch"].find((n) => n in dims);
  return rows ? { ...dims, [rows]: dims[rows] + 2 } : dims;
}
