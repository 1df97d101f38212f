import { checkArgument, showValue } from "../arguments.ts";
import { raise } from "../errors.ts";
import { dispatch, shader, workgroups } from "../gpu/mod.ts";
import { referenceValues, type Tensor } from "../tensor/mod.ts";
import { checkPosition, shapeError } from "./checks.ts";
import { lanesOf } from "./dispatch/adapter.ts";

import { checkDType, FLOATS, operator } from "./operator.ts";
import { gumbel, hash } from "./random.ts";
import { choosable } from "./reduce.ts";
import code from "./wgsl/sample.wgsl" with { type: "text" };

/** How ids are drawn. */
export interface SampleOptions {
  /** The logits are divided by this, which is above 0: below 1 the likely become likelier. Defaults to 1. */
  readonly temperature?: number;
  /** Only the k largest are drawn from, and those equal to the last of them. Defaults to all. */
  readonly topK?: number;
  /**
   * Only the fewest, largest first, whose probabilities sum to this are drawn from; after `topK`. Above 0; at 1,
   * and defaults to all.
   */
  readonly topP?: number;
  /** A whole number below 2³². The same seed, position and logits give the same ids. Defaults to 0. */
  readonly seed?: number;
}

/**
 * An id for each row, drawn from `softmax(logits / temperature)`: by the largest of logits with Gumbel's noise added
 * (Gumbel, Statistical Theory of Extreme Values, 1954). Everything happens on the device. −∞ and NaN are never
 * drawn; of nothing else it is 0.
 *
 * @param logits f32 or f16 `[rows, count]`.
 * @param position i32 `[1]`: chooses the random numbers together with the seed, so that steps differ.
 * @param mark Whether a row that has NaN or +∞, or nothing finite, gets −1: nothing can be drawn. Defaults to false.
 * @returns i32 `[rows]`
 * @throws KW-SAMPLE-OPTION, KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { sample } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using logits = Tensor.from([[0, 50, 0]]), position = Tensor.from([0], { dtype: "i32" });
 * using ids = sample(logits, position, { temperature: 0.8, topK: 2, seed: 1 });
 * assertEquals([...await ids.data()], [1]);
 * ```
 */
export function sample(logits: Tensor, position: Tensor, options: SampleOptions = {}, mark = false): Tensor {
  checkArgument("sample(): options", options, "an object");
  return run(logits, position, options, mark);
}

/** Raises KW-SAMPLE-OPTION for an option that is out of range. */
export function checkSampleOptions(options: SampleOptions): void {
  checkArgument("checkSampleOptions(): options", options, "an object");
  const { temperature = 1, topK = 1, topP = 1, seed = 0 } = options;
  const refuse = (name: string, value: number, fix: string) =>
    raise("KW-SAMPLE-OPTION", `Cannot sample with ${name} ${showValue(value)}`, fix);
  if (!(typeof temperature === "number" && temperature > 0 && temperature < Infinity)) {
    refuse("temperature", temperature, "It must be above 0; without sampling, generation is greedy.");
  }
  if (!(Number.isInteger(topK) && topK >= 1)) refuse("topK", topK, "It is a count: 1 or more.");
  if (!(typeof topP === "number" && topP > 0 && topP <= 1)) {
    refuse("topP", topP, "It is a share: above 0, at most 1.");
  }
  if (!(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32)) {
    refuse("seed", seed, "It is a whole number from 0 to 4294967295.");
  }
}

// ---------------------------------------------------------------------------

const sampleShader = shader({ name: "sample.wgsl", code });

/** A share that is 0 in f32 would leave nothing to draw from; this one leaves the largest. */
const LEAST_SHARE = 2 ** -100;

/** Walks of a row: the largest, 16 each for topK and topP, its sum, and the draw. */
const WALKS = 35;

const run = operator<[logits: Tensor, position: Tensor, options: SampleOptions, mark: boolean]>({
  name: "sample",
  infer: (logits, position, options) => {
    const action = "run sample";
    checkDType(action, logits, FLOATS);
    if (logits.rank !== 2 || logits.shape[1] === 0) {
      shapeError(action, logits.describe(), "It must be [rows, count], of one or more to draw from.");
    }
    checkPosition(action, position);
    checkSampleOptions(options);
    return { shape: [logits.shape[0]], dtype: "i32" };
  },
  webgpu: (out, logits, position, { temperature = 1, topK, topP = 1, seed = 0 }, mark) => {
    const [rows, count] = logits.shape;
    const lanes = Math.max(8, lanesOf(rows, count, 1, WALKS));
    const params = {
      rows,
      count,
      k: Math.min(topK ?? count, count),
      p: Math.max(topP, LEAST_SHARE),
      scale: 1 / temperature,
      seed,
      mark: Number(mark),
    };
    dispatch(sampleShader, { logits, position, out, params }, {
      workgroups: workgroups(rows, 1),
      types: { T: logits.dtype, Lanes: `array<vec3<f32>, ${lanes}>` },
      constants: { GROUP: lanes },
    });
  },
  reference: (out, logits, position, options, mark) => {
    const [rows, count] = logits.shape;
    const { temperature = 1, seed = 0 } = options;
    const [step] = referenceValues(position);
    for (let row = 0; row < rows; row++) {
      const v = referenceValues(logits).subarray(row * count, (row + 1) * count);
      if (mark && !choosable(v)) {
        out[row] = -1;
        continue;
      }
      const ids = stay(v, options);
      const largest = ids.reduce((most, i) => Math.max(most, v[i]), -Infinity);
      const score = (i: number) => below(v[i], largest, temperature) + gumbel(hash(seed, step, row, i));
      out[row] = ids.reduce((best, i) => score(i) > score(best) ? i : best, ids[0] ?? 0);
    }
  },
});

/** How far a logit lies below the largest, by temperature: two infinite ones do not differ. */
function below(v: number, largest: number, temperature: number): number {
  return v === largest ? 0 : Math.max((v - largest) / temperature, -1e30);
}

/** The ids that are drawn from. */
function stay(v: Float64Array, { temperature = 1, topK = v.length, topP = 1 }: SampleOptions): number[] {
  const finite = Array.from(v.keys()).filter((i) => v[i] > -Infinity).sort((a, b) => v[b] - v[a]);
  const kth = v[finite[Math.min(topK, finite.length) - 1]];
  const kept = finite.filter((i) => v[i] >= kth);
  const weights = kept.map((i) => Math.exp(below(v[i], v[kept[0]], temperature)));
  const needed = topP * weights.reduce((a, b) => a + b, 0);
  let sum = 0;
  const last = weights.findIndex((w) => (sum += w) >= needed);
  const least = topP < 1 ? v[kept[last]] : kth;
  return kept.filter((i) => v[i] >= least).sort((a, b) => a - b);
}
