import type { StridedRegion } from "../../ops/mod.ts";
import { numel } from "../../tensor/mod.ts";

/** The number of elements of a block. */
export function regionSize(region: StridedRegion): number {
  return numel(region.shape);
}

/** The same block, copied the other way. */
export function swapRegion(region: StridedRegion): StridedRegion {
  return { shape: region.shape, source: region.target, target: region.source };
}

/** The same copy with as few dimensions as it takes: size 1 dropped, and dimensions merged that follow each other in both. */
export function simplifyRegion(region: StridedRegion): StridedRegion {
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
export function isRun(region: StridedRegion): boolean {
  return region.shape.length === 1 && region.source.strides[0] === 1 && region.target.strides[0] === 1;
}
