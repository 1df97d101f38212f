/**
 * The harness for kernel authors: parity against the reference, odd shapes, conversions there and back, leaks; and
 * the bench.
 *
 * @module
 */
export {
  assertClose,
  benchKernel,
  type BenchKernelOptions,
  benchMain,
  BenchReport,
  type BenchRow,
  checkKernel,
  type Dims,
  type ExtraCase,
  type Fill,
  type FillName,
  FILLS,
  type InputSpec,
  measureRoof,
  randomSource,
  type Roof,
  type SizeRange,
  testKernel,
  type TestKernelOptions,
  type Timing,
  type TimingOptions,
  type Tolerance,
} from "../testing/mod.ts";
