import { numel, type Shape } from "../../tensor/mod.ts";

/** Invocations in a workgroup of the operators' shaders: `@workgroup_size(64)`. */
export const GROUP = 64;

/** WebGPU promises this many workgroups in a dimension, and adapters give no more. */
const MOST = 65535;

/**
 * Workgroup counts for at least `invocations` invocations, spread over two dimensions where one is too short.
 *
 * A shader finds its number with `id.x + id.y * groups.x * 64u`, where `groups` is `num_workgroups`, and returns
 * when that is past the end.
 */
export function grid(invocations: number, group: number = GROUP): [x: number, y: number] {
  const groups = Math.ceil(invocations / group);
  const rows = Math.max(1, Math.ceil(groups / MOST));
  return [Math.ceil(groups / rows), rows];
}

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
