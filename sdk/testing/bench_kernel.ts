import { checkOptions, type OptionNames } from "../arguments.ts";
import { type KernelClass, kernelDefinition } from "../authoring/mod.ts";
import { currentGpu, type OpenedGpu, openGpu } from "../gpu/mod.ts";
import { raise } from "../errors.ts";
import type { Module } from "../nn/mod.ts";
import { byteLength, type DType, scope, type Tensor, tensorsIn } from "../tensor/mod.ts";
import { BenchReport, type BenchRow } from "./bench_report.ts";
import type { Dims } from "./options.ts";
import type { TestKernelOptions } from "./options.ts";
import { measureRoof } from "./roof.ts";
import { Subject } from "./subject.ts";
import { type Side, timeSides, type TimingOptions } from "./timing.ts";
import { compareKernel, swappedModel } from "./trial.ts";

/** Options of {@linkcode benchKernel}. */
export interface BenchKernelOptions
  extends Pick<TestKernelOptions, "modules" | "inputs" | "arguments">, TimingOptions {
  /** The sizes to time, in the order of the table. */
  readonly shapes: readonly Dims[];
  /** The element type; defaults to f32. */
  readonly dtype?: DType;
  /** Other kernels for the same site, by name. */
  readonly against?: Readonly<Record<string, KernelClass>>;
  /**
   * What one call costs: bytes that must move (by default, every input, parameter and result once), and
   * floating-point operations. `size` is the bytes of an element.
   */
  readonly cost?: (dims: Dims, size: number) => { readonly bytes?: number; readonly flops?: number };
  /** Leaves out the check that the kernel is right; what is wrong is not worth timing. */
  readonly unchecked?: boolean;
}

const OPTIONS: OptionNames<BenchKernelOptions> = {
  modules: true,
  inputs: true,
  arguments: true,
  shapes: true,
  dtype: true,
  against: true,
  cost: true,
  unchecked: true,
  rounds: true,
  train: true,
};

/**
 * Times a kernel against the modules that it stands for, unfused, and against other kernels.
 *
 * @throws KW-TEST-CHECK when the kernel is wrong at the first shape, KW-TEST-OPTION without shapes.
 *
 * @example
 * ```ts
 * import { kernel, replaces, type Tensor } from "@kernelwright/sdk";
 * import { SiLU } from "@kernelwright/sdk/nn";
 * import { silu } from "@kernelwright/sdk/ops";
 * import { benchKernel, benchMain, BenchReport } from "@kernelwright/sdk/testing";
 * import { assertEquals } from "@std/assert";
 *
 * @kernel({ site: replaces(SiLU) })
 * class FastSiLU {
 *   forward(this: SiLU, x: Tensor): Tensor {
 *     return silu(x);
 *   }
 * }
 *
 * const options = { shapes: [{ batch: 1, tokens: 1, width: 64 }], rounds: 1, train: 1 };
 * const report = await benchKernel(FastSiLU, options);
 * assertEquals(report instanceof BenchReport, true);
 * await benchMain(FastSiLU, options, ["--json"]); // the same as a program: a silu_bench.ts
 * ```
 */
export async function benchKernel(cls: KernelClass, options: BenchKernelOptions): Promise<BenchReport> {
  checkOptions("benchKernel(): options", options, OPTIONS);
  const { name } = kernelDefinition(cls);
  if (options.shapes.length === 0) raise("KW-TEST-OPTION", "benchKernel got no shapes", "Give one at least.");
  await openGpu();
  const gpu = currentGpu();
  const dtype = options.dtype ?? "f32";
  const subjects = Object.entries({ [name]: cls, ...options.against })
    .map(([side, kernel]) => ({
      side,
      subject: new Subject(kernel, { ...options, shapes: options.shapes }),
    }));
  if (!options.unchecked) {
    for (const { subject } of subjects) {
      await compareKernel(subject, { dims: options.shapes[0], dtype, seed: 1 });
    }
  }
  const roof = await measureRoof(gpu, { rounds: 3, train: options.train });
  const rows: BenchRow[] = [];
  for (const dims of options.shapes) rows.push(await benchShape(gpu, subjects, { dims, dtype }, options));
  return new BenchReport(name, gpu.info.description || gpu.info.vendor, roof, rows);
}

/**
 * {@linkcode benchKernel} as a program: prints the table, or with `--json` the data, and with `--svg FILE` writes the
 * plot. The `main` of a `*_bench.ts`.
 *
 * See the example of {@linkcode benchKernel}.
 *
 * @param args The program's arguments; defaults to `Deno.args`.
 */
export async function benchMain(
  cls: KernelClass,
  options: BenchKernelOptions,
  args: readonly string[] = Deno.args,
): Promise<void> {
  const report = await benchKernel(cls, options);
  console.log(args.includes("--json") ? JSON.stringify(report, null, 2) : String(report));
  const svg = args.indexOf("--svg");
  if (svg >= 0) await Deno.writeTextFile(args[svg + 1] ?? `${report.kernel}.svg`, report.toSVG());
}

// ---------------------------------------------------------------------------

async function benchShape(
  gpu: OpenedGpu,
  subjects: readonly { side: string; subject: Subject }[],
  setup: { dims: Dims; dtype: DType },
  options: BenchKernelOptions,
): Promise<BenchRow> {
  const [{ subject: first }] = subjects;
  const { dims, dtype } = setup;
  const inputs = first.inputs(dims, dtype, "webgpu", 1);
  const original = first.model(dims, dtype);
  first.fillParameters(original, "webgpu", 1);
  const models = [original];
  const sides: Side[] = [];
  for (const { side, subject } of subjects) {
    const model = await swappedModel(subject, { ...setup, seed: 1 });
    models.push(model);
    sides.push(sideOf(side, () => first.run(model, inputs)));
  }
  sides.splice(1, 0, sideOf("original", () => first.run(original, inputs)));
  const { bytes, flops } = options.cost?.(dims, byteLength({ shape: [], dtype })) ?? {};
  const timings = await timeSides(gpu, sides, options);
  const moved = bytes ?? leastBytes(original, inputs, () => first.run(original, inputs));
  for (const t of inputs) t.dispose();
  for (const m of models) m.dispose();
  gpu.trim();
  return { dims, dtype, bytes: moved, flops, timings };
}

function sideOf(name: string, run: () => unknown): Side {
  return { name, call: () => disposeAll(scope(run)) };
}

function leastBytes(original: Module, inputs: readonly Tensor[], run: () => unknown): number {
  const results = tensorsIn(scope(run));
  const all = [...inputs, ...results, ...[...original.namedParameters()].map(([, p]) => p)];
  const bytes = all.reduce((n, t) => n + byteLength(t), 0);
  disposeAll([...results]);
  return bytes;
}

function disposeAll(value: unknown): void {
  for (const t of tensorsIn(value)) t.dispose();
}
