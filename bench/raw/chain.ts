import { numbers } from "../data.ts";
import type { Params, Prepared } from "../protocol.ts";
import type { RawGpu } from "./gpu.ts";

/** A chain of tiny dispatches, each reading what the one before wrote. */
export function prepareChain(gpu: RawGpu, params: Params): Promise<Prepared> {
  const [size, length] = [Number(params.size), Number(params.length)];
  const pipeline = gpu.pipeline(`
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < ${size}u) { out[id.x] = x[id.x] * 0.999; }
}`);
  const [x, a, b] = [gpu.buffer(numbers(size, 1)), gpu.buffer(size * 4), gpu.buffer(size * 4)];
  const groups = Math.ceil(size / 64);
  const first = gpu.step(pipeline, [x, a], groups);
  const [forth, back] = [gpu.step(pipeline, [a, b], groups), gpu.step(pipeline, [b, a], groups)];
  const steps = Array.from({ length }, (_, i) => i === 0 ? first : i % 2 ? forth : back);
  const last = length % 2 ? a : b;
  return Promise.resolve({
    call: () => gpu.record(steps),
    wait: () => gpu.wait(last),
    values: (at) => gpu.values(last, "f32", at),
    drop: () => gpu.drop(),
  });
}
