/**
 * WGSL for the norm, both projections, SiLU and the product: one block of `rows` by `columns` to an invocation.
 *
 *              k ──►
 *   x     ┌──────────┐ rows       a step takes 4 values of each row of x, and of `columns` rows of gate and of up
 *         └──────────┘
 *   gate  ┌──────────┐ columns    sums for gate and for up, and of the squares of x: the norm's factor is the same
 *   up    └──────────┘ each       for a whole row, so it is multiplied in at the end:
 *                                   Σ w[k] · x[k] · scale[k] / rms  =  (Σ w[k] · x[k] · scale[k]) / rms
 *
 * Everything is written out. Sums that a loop indexes lie in memory, sums with names of their own in registers.
 */

/** The code for a block; `columns` is a multiple of 4. Rows and columns past the end repeat the last one. */
export function normGateUp(rows: number, columns: number): string {
  const eachRow = (line: (r: number) => string) => lines(rows, line);
  const eachFour = (line: (c: number) => string) => lines(columns / 4, line);
  return `
struct Params {
  rows: u32,
  steps: u32, // vec4s in a row of x, gate or up
  fours: u32, // vec4s in a row of out
  hidden: f32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<V>;        // [rows, hidden], four values in each element
@group(0) @binding(1) var<storage, read> scale: array<V>;    // [hidden]
@group(0) @binding(2) var<storage, read> gate_up: array<V>;  // [2 * inner, hidden]
@group(0) @binding(3) var<storage, read_write> out: array<V>; // [rows, inner]
@group(0) @binding(4) var<uniform> params: Params;

// Four values of each of four rows. A vector times this is the four dot products.
fn four_rows(at: u32) -> mat4x4f {
  let n = params.steps;
  return mat4x4f(vec4f(gate_up[at]), vec4f(gate_up[at + n]), vec4f(gate_up[at + 2u * n]), vec4f(gate_up[at + 3u * n]));
}

fn store(row: u32, four: u32, gate: vec4f, up: vec4f, squares: f32) {
  if (row >= params.rows || four >= params.fours) { return; }
  let inv_rms = inverseSqrt(squares / params.hidden + params.eps);
  let g = gate * inv_rms;
  out[row * params.fours + four] = V(g / (1.0 + exp(-g)) * up * inv_rms);
}

// The row comes from the workgroup's number alone, so all its invocations read the same x.
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let row = group.y * ${rows}u;
  let four = (group.x * 8u + local.x) * ${columns / 4}u;
${eachRow((r) => `  let x${r} = min(row + ${r}u, params.rows - 1u) * params.steps; var squares${r} = 0.0;`)}
${
    eachFour((c) =>
      `  let gate${c} = min(four + ${c}u, params.fours - 1u) * 4u * params.steps;
  let up${c} = gate${c} + params.fours * 4u * params.steps;`
    )
  }
${eachRow((r) => eachFour((c) => `  var g${r}_${c} = vec4f(); var u${r}_${c} = vec4f();`))}
  for (var k = 0u; k < params.steps; k++) {
    let s = vec4f(scale[k]);
${eachFour((c) => `    let g${c} = four_rows(gate${c} + k); let u${c} = four_rows(up${c} + k);`)}
${
    eachRow((r) =>
      `    let v${r} = vec4f(x[x${r} + k]); squares${r} += dot(v${r}, v${r}); let y${r} = v${r} * s;
${eachFour((c) => `    g${r}_${c} += y${r} * g${c}; u${r}_${c} += y${r} * u${c};`)}`
    )
  }
  }
${eachRow((r) => eachFour((c) => `  store(row + ${r}u, four + ${c}u, g${r}_${c}, u${r}_${c}, squares${r});`))}
}
`;
}

// ---------------------------------------------------------------------------

function lines(count: number, line: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => line(i)).join("\n");
}
