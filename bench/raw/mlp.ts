/** RMSNorm and the gated MLP behind it in two dispatches, each the fastest of several blocks. */
import { numbers } from "../data.ts";
import type { Params, Prepared } from "../protocol.ts";
import { type Candidate, fastest, type RawGpu } from "./gpu.ts";
import { linearCandidates } from "./linear.ts";

/** The fused block. */
export async function prepareMlp(gpu: RawGpu, params: Params): Promise<Prepared> {
  const [rows, hidden, inner] = ["rows", "hidden", "inner"].map((n) => Number(params[n]));
  const x = gpu.buffer(numbers(rows * hidden, 1));
  const scale = gpu.buffer(numbers(hidden, 2));
  const gate = gpu.buffer(numbers(inner * hidden, 3, 1 / Math.sqrt(hidden)));
  const up = gpu.buffer(numbers(inner * hidden, 4, 1 / Math.sqrt(hidden)));
  const down = gpu.buffer(numbers(hidden * inner, 5, 1 / Math.sqrt(inner)));
  const active = gpu.buffer(rows * inner * 4);
  const out = gpu.buffer(rows * hidden * 4);
  const blocks = rows === 1 ? [[1, 1], [1, 2], [1, 4], [1, 8]] : [[4, 4], [8, 4], [16, 4], [8, 8], [16, 8]];
  const first = await fastest(
    gpu,
    active,
    blocks.map(([r, c]): Candidate => ({
      name: `${r}×${c}`,
      make: () => [
        gpu.step(
          gpu.pipeline(gateUpCode(rows, hidden, inner, r, c)),
          [x, scale, gate, up, active],
          Math.ceil(inner / c / 8),
          Math.ceil(rows / r),
        ),
      ],
    })),
  );
  const shape = { rows, columns: hidden, depth: inner, dtype: "f32" };
  const second = await fastest(gpu, out, linearCandidates(gpu, shape, active, down, out));
  const steps = [...first, ...second];
  return {
    call: () => gpu.record(steps),
    wait: () => gpu.wait(out),
    values: (at) => gpu.values(out, "f32", at),
    drop: () => gpu.drop(),
  };
}

// ---------------------------------------------------------------------------

function gateUpCode(rows: number, hidden: number, inner: number, r: number, c: number): string {
  const each = (n: number, line: (i: number) => string, between = "\n") =>
    Array.from({ length: n }, (_, i) => line(i)).join(between);
  const stride = hidden / 4;
  return `
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> scale: array<vec4f>;
@group(0) @binding(2) var<storage, read> gate: array<vec4f>;
@group(0) @binding(3) var<storage, read> up: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
fn put(row: u32, column: u32, gate: f32, up: f32, factor: f32) {
  if (row >= ${rows}u || column >= ${inner}u) { return; }
  let g = gate * factor;
  out[row * ${inner}u + column] = g / (1.0 + exp(-g)) * up * factor;
}
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) lane: vec3u) {
  let row = group.y * ${r}u;
  let column = (group.x * 8u + lane.x) * ${c}u;
${each(r, (i) => `  let x${i} = min(row + ${i}u, ${rows - 1}u) * ${stride}u; var n${i} = 0.0;`)}
${each(c, (j) => `  let w${j} = min(column + ${j}u, ${inner - 1}u) * ${stride}u;`)}
${each(r, (i) => each(c, (j) => `  var g${i}_${j} = 0.0; var u${i}_${j} = 0.0;`, ""))}
  for (var k = 0u; k < ${stride}u; k++) {
    let s = scale[k];
${each(c, (j) => `    let a${j} = gate[w${j} + k]; let b${j} = up[w${j} + k];`)}
${
    each(r, (i) =>
      `    let v${i} = x[x${i} + k]; n${i} += dot(v${i}, v${i}); let y${i} = v${i} * s;
    ${each(c, (j) => `g${i}_${j} += dot(y${i}, a${j}); u${i}_${j} += dot(y${i}, b${j});`, " ")}`)
  }
  }
${each(r, (i) => `  let f${i} = inverseSqrt(n${i} / ${hidden}.0 + 1e-5);`)}
${each(r, (i) => each(c, (j) => `  put(row + ${i}u, column + ${j}u, g${i}_${j}, u${i}_${j}, f${i});`, ""))}
}`;
}
