import { checkFields } from "../../arguments.ts";
import { numel, type Shape } from "../../tensor/mod.ts";

/** Where the elements of a block lie in one tensor, in elements. */
export interface Layout {
  /** The first element. */
  readonly offset: number;
  /** The steps from one element to the next, per dimension of the block. */
  readonly strides: readonly number[];
}

/** A block of elements, and where they lie in the tensor that is read and in the one that is written. */
export interface Region {
  /** The sizes of the block. */
  readonly shape: Shape;
  /** In the tensor that is read. */
  readonly source: Layout;
  /** In the tensor that is written. */
  readonly target: Layout;
}

/** The number of elements of a block. */
export function regionSize(region: Region): number {
  return numel(region.shape);
}

/** The same block, copied the other way. */
export function swapRegion(region: Region): Region {
  return { shape: region.shape, source: region.target, target: region.source };
}

/** The same copy with as few dimensions as it takes: size 1 dropped, and dimensions merged that follow each other in both. */
export function simplifyRegion(region: Region): Region {
  const shape: number[] = [];
  const source: number[] = [];
  const target: number[] = [];
  for (let i = 0; i < region.shape.length; i++) {
    const [n, s, t] = [region.shape[i], region.source.strides[i], region.target.strides[i]];
    if (n === 1) continue;
    const last = shape.length - 1;
    if (last >= 0 && source[last] === s * n && target[last] === t * n) {
      [shape[last], source[last], target[last]] = [shape[last] * n, s, t];
    } else {
      shape.push(n);
      source.push(s);
      target.push(t);
    }
  }
  if (shape.length === 0) [shape[0], source[0], target[0]] = [1, 1, 1];
  return {
    shape,
    source: { offset: region.source.offset, strides: source },
    target: { offset: region.target.offset, strides: target },
  };
}

/** Whether the (simplified) block is one run of elements in both tensors. */
export function isRun(region: Region): boolean {
  checkFields("isRun(): region", region, { shape: "an array", source: "an object", target: "an object" });
  for (const side of ["source", "target"] as const) {
    checkFields(`isRun(): region.${side}`, region[side], { strides: "an array" });
  }
  return region.shape.length === 1 && region.source.strides[0] === 1 && region.target.strides[0] === 1;
}
