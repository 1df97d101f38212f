import type { Tensor } from "../tensor/mod.ts";
import { shapeError } from "./checks.ts";

/** One side of a strided copy, in elements. */
export interface StridedSide {
  /** Where the first element lies. */
  readonly offset: number;
  /** The distance between neighbours, for each dimension. */
  readonly strides: readonly number[];
}

/** Which elements go where: element `(i, j, …)` from `source.offset + i · source.strides[0] + j · …`. */
export interface StridedRegion {
  /** How many elements in each dimension; at most 8 dimensions. */
  readonly shape: readonly number[];
  /** Where they come from. A stride of 0 repeats. */
  readonly source: StridedSide;
  /** Where they go. No two elements may go to the same place. */
  readonly target: StridedSide;
}

/** One dimension of a region. */
export interface RegionDim {
  /** How many elements. */
  readonly size: number;
  /** The source's stride. */
  readonly source: number;
  /** The target's stride. */
  readonly target: number;
}

/**
 * The same region in as few dimensions as possible, the target's widest stride first: sizes of 1 drop out, and
 * neighbours that both sides walk as one become one.
 */
export function collapseRegion(region: StridedRegion): RegionDim[] {
  const dims = region.shape
    .map((size, d) => ({ size, source: region.source.strides[d], target: region.target.strides[d] }))
    .filter((d) => d.size !== 1)
    .sort((a, b) => b.target - a.target);
  const merged: RegionDim[] = [];
  for (const d of dims) {
    const outer = merged.at(-1);
    if (outer && outer.source === d.size * d.source && outer.target === d.size * d.target) {
      merged[merged.length - 1] = { ...d, size: outer.size * d.size };
    } else merged.push(d);
  }
  return merged;
}

/**
 * Raises unless the region is well formed and lies inside both tensors.
 *
 * @throws KW-TENSOR-SHAPE
 */
export function checkRegion(target: Tensor, source: Tensor, region: StridedRegion): void {
  const action = "run stridedCopy";
  const { shape } = region;
  const rank = shape.length;
  if (rank > 8 || region.source.strides.length !== rank || region.target.strides.length !== rank) {
    shapeError(
      action,
      `a shape of ${rank} dimensions, ${region.source.strides.length} source strides and ${region.target.strides.length} target strides`,
      "Give a stride for each dimension on both sides, and at most 8 dimensions.",
    );
  }
  checkSide(action, "source", region.source, shape, source);
  checkSide(action, "target", region.target, shape, target);
  if (shape.includes(0)) return; // nothing goes anywhere
  const doubled = shape.findIndex((size, d) => size > 1 && region.target.strides[d] === 0);
  if (doubled >= 0) {
    shapeError(
      action,
      `the target's stride in dimension ${doubled} is 0`,
      "Every element needs a place of its own in the target.",
    );
  }
}

// ---------------------------------------------------------------------------

function checkSide(
  action: string,
  name: string,
  side: StridedSide,
  shape: readonly number[],
  t: Tensor,
): void {
  const numbers = [side.offset, ...side.strides, ...shape];
  if (!numbers.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    shapeError(
      action,
      `the ${name} has offset ${side.offset}, strides [${side.strides.join(", ")}] and shape [${
        shape.join(", ")
      }]`,
      "Give whole numbers that are not negative.",
    );
  }
  if (shape.includes(0)) return;
  const last = shape.reduce((at, size, d) => at + (size - 1) * side.strides[d], side.offset);
  if (last >= t.size) {
    shapeError(
      action,
      `the ${name} ${t.describe()} has ${t.size} elements, and the region reaches element ${last}`,
      "Make the region smaller.",
    );
  }
}
