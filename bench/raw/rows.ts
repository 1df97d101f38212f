/** RMSNorm, softmax and rotary embedding of rows, written for one shape each. */
import { numbers } from "../data.ts";
import type { Params, Prepared } from "../protocol.ts";
import { fastest, type RawGpu } from "./gpu.ts";

/** The fastest workgroup size. */
export async function prepareRows(gpu: RawGpu, work: string, params: Params): Promise<Prepared> {
  const [rows, width] = [Number(params.rows), Number(params.width)];
  const x = gpu.buffer(numbers(rows * width, 1, work === "softmax" ? 4 : 1));
  const out = gpu.buffer(rows * width * 4);
  const second = gpu.buffer(work === "rope" ? rotations(params) : numbers(width, 2));
  const items = work === "rope" ? rows * width / 2 : rows;
  const steps = await fastest(
    gpu,
    out,
    [4, 8, 16, 64].map((size) => ({
      name: `${size} to a workgroup`,
      make: () => [
        gpu.step(
          gpu.pipeline(CODE[work](rows, width, size, Number(params.size ?? 0), Number(params.heads ?? 0))),
          work === "softmax" ? [x, out] : [x, second, out],
          Math.ceil(items / size),
        ),
      ],
    })),
  );
  return {
    call: () => gpu.record(steps),
    wait: () => gpu.wait(out),
    values: (at) => gpu.values(out, "f32", at),
    drop: () => gpu.drop(),
  };
}

// ---------------------------------------------------------------------------

/** Cosine and sine for each token and pair, made on the host once. */
function rotations({ rows, size }: Params): Float32Array<ArrayBuffer> {
  const tokens = Number(rows);
  const pairs = Number(size) / 2;
  const made = new Float32Array(tokens * pairs * 2);
  for (let t = 0; t < tokens; t++) {
    for (let p = 0; p < pairs; p++) {
      const angle = t * 10000 ** (-p / pairs);
      made.set([Math.cos(angle), Math.sin(angle)], (t * pairs + p) * 2);
    }
  }
  return made;
}

const HEAD = `
@group(0) @binding(0) var<storage, read> x: array<vec4f>;`;
const MAIN = (size: number) => `
@compute @workgroup_size(${size}) fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;`;

const CODE: Record<
  string,
  (rows: number, width: number, size: number, head: number, heads: number) => string
> = {
  rms_norm: (rows, width, size) =>
    `${HEAD}
@group(0) @binding(1) var<storage, read> weight: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;${MAIN(size)}
  if (row >= ${rows}u) { return; }
  let start = row * ${width / 4}u;
  var squares = vec4f();
  for (var i = 0u; i < ${width / 4}u; i++) { let v = x[start + i]; squares += v * v; }
  let factor = inverseSqrt(dot(squares, vec4f(1.0)) / ${width}.0 + 1e-5);
  for (var i = 0u; i < ${width / 4}u; i++) { out[start + i] = x[start + i] * factor * weight[i]; }
}`,
  softmax: (rows, width, size) =>
    `${HEAD}
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;${MAIN(size)}
  if (row >= ${rows}u) { return; }
  let start = row * ${width / 4}u;
  var most = vec4f(-3.0e38);
  for (var i = 0u; i < ${width / 4}u; i++) { most = max(most, x[start + i]); }
  let largest = max(max(most.x, most.y), max(most.z, most.w));
  var sums = vec4f();
  for (var i = 0u; i < ${width / 4}u; i++) {
    let e = exp(x[start + i] - largest);
    out[start + i] = e;
    sums += e;
  }
  let factor = 1.0 / dot(sums, vec4f(1.0));
  for (var i = 0u; i < ${width / 4}u; i++) { out[start + i] *= factor; }
}`,
  rope: (rows, width, size, head, heads) => `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> turn: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(${size}) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${rows * width / 2}u) { return; }
  let pair = id.x % ${head / 2}u;
  let first = id.x / ${head / 2}u * ${head}u + pair;
  let r = turn[id.x / ${head / 2 * heads}u * ${head / 2}u + pair];
  let a = x[first];
  let b = x[first + ${head / 2}u];
  out[first] = a * r.x - b * r.y;
  out[first + ${head / 2}u] = b * r.x + a * r.y;
}`,
};
