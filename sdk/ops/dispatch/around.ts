import { numel, type Shape } from "../../tensor/mod.ts";

/** A shape seen from one of its dimensions: what lies outside of it, its own size, what lies inside. */
export interface AroundDim {
  /** The product of the sizes before the dimension. */
  readonly outer: number;
  /** The dimension's size. */
  readonly count: number;
  /** The product of the sizes after it: the stride along the dimension. */
  readonly inner: number;
}

/** Looks at a shape from the dimension `dim`, which must be in range. */
export function aroundDim(shape: Shape, dim: number): AroundDim {
  return { outer: numel(shape.slice(0, dim)), count: shape[dim], inner: numel(shape.slice(dim + 1)) };
}

/** Eight numbers for a uniform `array<vec4<u32>, 2>`. */
export function eight(values: readonly number[]): number[] {
  return Array.from({ length: 8 }, (_, i) => values[i] ?? 0);
}
