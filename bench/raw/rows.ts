/** RMSNorm, softmax and rotary embedding of rows, written for one shape each. */
import { numbers } from "../data.ts";
import type { Params, Prepared } from "../protocol.ts";
import { type Candidate, fastest, type RawGpu } from "./gpu.ts";

/** The fastest workgroup size; for rope also how many heads share a load of the rotation. */
export async function prepareRows(gpu: RawGpu, work: string, params: Params): Promise<Prepared> {
  const [rows, width] = [Number(params.rows), Number(params.width)];
  const x = gpu.buffer(numbers(rows * width, 1, work === "softmax" ? 4 : 1));
  const out = gpu.buffer(rows * width * 4);
  const second = gpu.buffer(work === "rope" ? rotations(params) : numbers(width, 2));
  const buffers = work === "softmax" ? [x, out] : [x, second, out];
  const candidate = (name: string, code: string, items: number, size: number): Candidate => ({
    name: `${name}${size} to a workgroup`,
    make: () => [gpu.step(gpu.pipeline(code), buffers, Math.ceil(items / size))],
  });
  const sizes = [4, 8, 16, 64];
  const candidates = work === "rope"
    ? ropeShapes(params).flatMap((s) =>
      sizes.slice(1).map((size) => candidate(`${s.each} heads, `, ropeCode(s, size), ropeItems(s), size))
    )
    : sizes.map((size) => candidate("", CODE[work](rows, width, size), rows, size));
  const steps = await fastest(gpu, out, candidates);
  return {
    call: () => gpu.record(steps),
    wait: () => gpu.wait(out),
    values: (at) => gpu.values(out, "f32", at),
    drop: () => gpu.drop(),
  };
}

// ---------------------------------------------------------------------------

interface RopeShape {
  readonly tokens: number;
  readonly heads: number;
  readonly size: number;
  /** Heads that an invocation rotates. */
  readonly each: number;
}

function ropeShapes(p: Params): RopeShape[] {
  const [tokens, heads, size] = [Number(p.rows), Number(p.heads), Number(p.size)];
  return [1, 2, 4, 8, 16, 32].filter((n) => heads % n === 0).map((each) => ({ tokens, heads, size, each }));
}

function ropeItems({ tokens, heads, size, each }: RopeShape): number {
  return tokens * heads / each * size / 8;
}

/** For each token its pairs' cosines and sines, four of either in turn, made on the host once. */
function rotations({ rows, size }: Params): Float32Array<ArrayBuffer> {
  const tokens = Number(rows);
  const pairs = Number(size) / 2;
  const made = new Float32Array(tokens * pairs * 2);
  for (let t = 0; t < tokens; t++) {
    for (let p = 0; p < pairs; p++) {
      const angle = t * 10000 ** (-p / pairs);
      const at = t * pairs * 2 + p + (p - p % 4);
      made[at] = Math.cos(angle);
      made[at + 4] = Math.sin(angle);
    }
  }
  return made;
}

const HEAD = `
@group(0) @binding(0) var<storage, read> x: array<vec4f>;`;
const MAIN = (size: number) => `
@compute @workgroup_size(${size}) fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;`;

const CODE: Record<string, (rows: number, width: number, size: number) => string> = {
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
};

function ropeCode(shape: RopeShape, group: number): string {
  const { heads, size, each } = shape;
  const parts = size / 8; // four pairs each
  return `
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> turn: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@compute @workgroup_size(${group}) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${ropeItems(shape)}u) { return; }
  let part = id.x % ${parts}u;
  let block = id.x / ${parts}u; // of heads of a token
  let at = (block / ${heads / each}u * ${parts}u + part) * 2u;
  let cos = turn[at];
  let sin = turn[at + 1u];
  for (var h = 0u; h < ${each}u; h++) {
    let first = (block * ${each}u + h) * ${2 * parts}u + part;
    let a = x[first];
    let b = x[first + ${parts}u];
    out[first] = a * cos - b * sin;
    out[first + ${parts}u] = b * cos + a * sin;
  }
}`;
}
