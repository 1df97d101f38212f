import { numbersAs } from "../data.ts";
import type { Params, Prepared } from "../protocol.ts";
import { type Candidate, fastest, type RawGpu } from "./gpu.ts";
import { type LinearShape, rawLinear } from "./linear_code.ts";

/** The fastest of several blocks. */
export async function prepareLinear(gpu: RawGpu, params: Params): Promise<Prepared> {
  const shape: LinearShape = {
    rows: Number(params.rows),
    columns: Number(params.columns),
    depth: Number(params.depth),
    dtype: String(params.dtype),
  };
  const typed = (values: Float32Array<ArrayBuffer>) =>
    shape.dtype === "f16" ? Float16Array.from(values) : values;
  const x = gpu.buffer(typed(numbersAs(shape.dtype, shape.rows * shape.depth, 1)));
  const w = gpu.buffer(typed(numbersAs(shape.dtype, shape.columns * shape.depth, 2)));
  const out = gpu.buffer(shape.rows * shape.columns * (shape.dtype === "f16" ? 2 : 4));
  const steps = await fastest(gpu, out, linearCandidates(gpu, shape, x, w, out));
  return {
    call: () => gpu.record(steps),
    wait: () => gpu.wait(out),
    values: (at) => gpu.values(out, shape.dtype, at),
    drop: () => gpu.drop(),
  };
}

/** Blocks worth trying for a shape. */
export function linearCandidates(
  gpu: RawGpu,
  s: LinearShape,
  x: GPUBuffer,
  w: GPUBuffer,
  out: GPUBuffer,
): Candidate[] {
  const blocks = s.rows === 1
    ? [[1, 1], [1, 2], [1, 4], [1, 8], [1, 16]]
    : s.rows <= 8
    ? [[s.rows, 2], [s.rows, 4], [s.rows, 8]]
    : [[8, 4], [8, 8], [16, 4], [16, 8], [16, 16], [32, 8]];
  return blocks.map(([r, c]) => ({
    name: `${r}×${c}`,
    make: () => {
      const pipeline = gpu.pipeline(rawLinear(s, r, c, 8));
      return [gpu.step(pipeline, [x, w, out], Math.ceil(s.columns / c / 8), Math.ceil(s.rows / r))];
    },
  }));
}
