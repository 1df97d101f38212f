import type { OptionNames } from "../arguments.ts";
import type { Module } from "../nn/mod.ts";
import type { DType, Shape, Tensor } from "../tensor/mod.ts";
import type { Tolerance } from "./assert_close.ts";
import type { Fill } from "./random.ts";

/**
 * Sizes by name. The names of the known modules are `batch`, `tokens`, `width` (the last dimension of the input) and
 * `inner`; a test with `modules` and `inputs` of its own may use any.
 */
export type Dims = Readonly<Record<string, number>>;

/** The values that a size takes in random trials. */
export interface SizeRange {
  /** The least; defaults to 1. */
  readonly min?: number;
  /** The most; defaults to 70. */
  readonly max?: number;
  /** Only multiples of this. */
  readonly multipleOf?: number;
}

/** One input of a forward. */
export interface InputSpec {
  /** Its shape. */
  readonly shape: Shape;
  /** Its element type; defaults to that of the trial. */
  readonly dtype?: DType;
  /** Its values, where the checks must not choose them: ids, positions. */
  readonly values?: Fill;
  /** Whether the forward writes it, as it does a cache: then it must end as the original leaves it. */
  readonly written?: boolean;
}

/** A further parity check, with values of the author's choice. */
export interface ExtraCase {
  /** The sizes. */
  readonly dims: Dims;
  /** The inputs' values; defaults to usual ones. */
  readonly values?: Fill;
  /** The parameters' values; defaults to usual ones. */
  readonly weights?: Fill;
}

/** Options of {@linkcode testKernel}. */
export interface TestKernelOptions {
  /** Builds the modules that the site names, in its order. Known modules of the SDK are built without it. */
  readonly modules?: (dims: Dims) => readonly Module[];
  /** The inputs of forward. Defaults to `[batch, tokens, width]` as often as the first module's forward takes one. */
  readonly inputs?: (dims: Dims) => readonly (Shape | InputSpec)[];
  /**
   * The forward's arguments, made of the inputs: `([x, position, keys, values]) => [x, { position, … }]`. The inputs
   * themselves by default.
   */
  readonly arguments?: (inputs: readonly Tensor[]) => readonly unknown[];
  /**
   * What is right, in place of the modules on the reference device: gets the inputs there (float64), and may use the
   * float64 parameters of the modules.
   */
  readonly reference?: (inputs: readonly Tensor[], modules: readonly Module[]) => Tensor | readonly Tensor[];
  /** Sizes to try; defaults to a few that are and are not multiples of the usual workgroups. */
  readonly shapes?: readonly Dims[];
  /** The values of each size in random trials; defaults to those of the first of `shapes`, each from 1 to 70. */
  readonly sizes?: Readonly<Record<string, SizeRange>>;
  /** Element types to try; those in the kernel's `requires.dtypes`, or f32. */
  readonly dtypes?: readonly DType[];
  /** How far off a result may be, by dtype. */
  readonly tolerance?: Tolerance | Readonly<Partial<Record<DType, Tolerance>>>;
  /** Further parity checks by name. */
  readonly cases?: Readonly<Record<string, ExtraCase>>;
  /** Checks to leave out, with the reason, which the test's name shows: `{ "not a number": "it clamps" }`. */
  readonly skip?: Readonly<Record<string, string>>;
  /** How many random trials; defaults to 12. */
  readonly runs?: number;
  /** The seed of all that is random; defaults to a fixed one. */
  readonly seed?: number;
}

/** The names of {@linkcode TestKernelOptions}. */
export const TEST_OPTIONS: OptionNames<TestKernelOptions> = {
  modules: true,
  inputs: true,
  arguments: true,
  reference: true,
  shapes: true,
  sizes: true,
  dtypes: true,
  tolerance: true,
  cases: true,
  skip: true,
  runs: true,
  seed: true,
};

/** Tolerances where the author gives none. */
export const TOLERANCES: Readonly<Partial<Record<DType, Tolerance>>> = {
  // Sums of up to a few thousand terms: the share of the row's largest value covers what cancels.
  f32: { rtol: 2e-5, atol: 1e-30, rowtol: 4e-6 },
  f16: { rtol: 4e-3, atol: 6e-8, rowtol: 3e-3 },
};
