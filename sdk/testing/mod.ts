/**
 * The harness for kernel authors: parity against the reference, odd shapes, conversions there and back, leaks; and
 * the bench.
 *
 * @module
 */
export { assertClose, type Tolerance } from "./assert_close.ts";
export { benchKernel, type BenchKernelOptions, benchMain } from "./bench_kernel.ts";
export { BenchReport, type BenchRow } from "./bench_report.ts";
export type { Dims, ExtraCase, InputSpec, SizeRange, TestKernelOptions } from "./options.ts";
export { type Fill, type FillName, FILLS, randomSource } from "./random.ts";
export { checkKernel, testKernel } from "./test_kernel.ts";
export { measureRoof, type Roof } from "./roof.ts";
export type { Timing, TimingOptions } from "./timing.ts";
