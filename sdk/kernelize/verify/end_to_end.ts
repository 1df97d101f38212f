import type { Module } from "../../nn/mod.ts";
import { keep, scope, Tensor, tensorsIn } from "../../tensor/mod.ts";

/** How the whole model's result moved. */
export interface EndToEnd {
  /** The largest difference of a logit. */
  readonly absolute: number;
  /** Positions whose argmax stayed. */
  readonly sameArgmax: number;
  /** Positions. */
  readonly positions: number;
}

/** The model's result as numbers; undefined when it is something else than one tensor of one dimension or more. */
export async function resultOf(
  model: Module,
  inputs: readonly unknown[],
): Promise<{ data: ArrayLike<number>; width: number } | undefined> {
  const result = scope(() => model.call(...inputs));
  if (!(result instanceof Tensor) || result.rank === 0) {
    for (const t of tensorsIn(result)) t.dispose();
    return undefined;
  }
  keep(result);
  try {
    return { data: await result.data(), width: result.shape.at(-1)! };
  } finally {
    result.dispose();
  }
}

/** Compares two results: the largest difference, and whether each row's largest element is still the same one. */
export function compareResults(
  before: { data: ArrayLike<number>; width: number },
  after: ArrayLike<number>,
): EndToEnd {
  const { data, width } = before;
  let absolute = 0;
  for (let i = 0; i < data.length; i++) absolute = Math.max(absolute, Math.abs(data[i] - after[i]));
  const positions = width === 0 ? 0 : data.length / width;
  let sameArgmax = 0;
  for (let row = 0; row < positions; row++) {
    if (argmaxOf(data, row * width, width) === argmaxOf(after, row * width, width)) sameArgmax++;
  }
  return { absolute, sameArgmax, positions };
}

function argmaxOf(values: ArrayLike<number>, start: number, length: number): number {
  let best = start;
  for (let i = start + 1; i < start + length; i++) if (values[i] > values[best]) best = i;
  return best - start;
}
