/**
 * The harness for kernel authors: parity against the reference, odd shapes, conversions there and back, leaks.
 *
 * @module
 */
export { assertClose, type Tolerance } from "./assert_close.ts";
export type { Dims, ExtraCase, InputSpec, SizeRange, TestKernelOptions } from "./options.ts";
export { type Fill, FILLS, randomSource } from "./random.ts";
export { checkKernel, testKernel } from "./test_kernel.ts";
