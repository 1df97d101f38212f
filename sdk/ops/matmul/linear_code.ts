/**
 * WGSL for `y = x Wᵀ + bias`, one block of `rows` by `columns` outputs per invocation.
 *
 *            k ──►                  A step takes 4 numbers of each of the block's rows of x and of W. Both lie in
 *   x  ┌──────────┐  rows           memory along k, so that is rows + columns vec4 loads for 4·rows·columns
 *      └──────────┘                 multiply-adds: the larger the block, the fewer loads per multiply-add.
 *   W  ┌──────────┐  columns
 *      └──────────┘
 *
 * No workgroup memory and no barrier: on software devices a barrier costs more than the loads that it saves.
 * The block is written out, every sum a variable of its own: drivers do not unroll loops of this size, and an
 * array that a loop indexes lives in memory. Measured on llvmpipe with 2 cores, 64×1024×1024 in f32:
 *
 *   block   loops and arrays   written out
 *   4×16     4 GFLOP/s           9 GFLOP/s
 *   8×8      6                  11
 *   16×16    8                  19
 */

/** What is loaded at once: vectors of 4, or single numbers where the depth is not a multiple of 4. */
export type LoadWidth = 4 | 1;

/**
 * The code for a block; rows and columns past the end read the last one again, and are not written.
 *
 * @param adds Whether sums are added to what is in `out`.
 */
export function linearCode(rows: number, columns: number, width: LoadWidth, adds = false): string {
  const eachRow = (line: (r: number) => string) => repeat(rows, line);
  const eachColumn = (line: (c: number) => string) => repeat(columns, line);
  return `
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> weight: array<V>;
@group(0) @binding(2) var<storage, read> bias: array<T>; // not read where has_bias is 0
@group(0) @binding(3) var<storage, read_write> out: array<O>;
@group(0) @binding(4) var<uniform> params: Params;

// A row of x or W is \`stride\` loads long; those from \`first\` to \`end\` are added to what the ones before gave.
struct Params {
  rows: u32,
  columns: u32,
  stride: u32,
  first: u32,
  end: u32,
  row_blocks: u32,
  column_blocks: u32,
  has_bias: u32,
}

fn store(row: u32, column: u32, sum: f32) {
  if (row >= params.rows || column >= params.columns) { return; }
  let at = row * params.columns + column;
  var y = sum;
${adds ? "  y += f32(out[at]);\n" : ""}  if (params.has_bias != 0u) { y += f32(bias[column]); }
  out[at] = O(y);
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 8u;
  if (i >= params.row_blocks * params.column_blocks) { return; }
  let row = i / params.column_blocks * ${rows}u;
  let column = i % params.column_blocks * ${columns}u;
${eachRow((r) => `  let x${r} = min(row + ${r}u, params.rows - 1u) * params.stride;`)}
${eachColumn((c) => `  let w${c} = min(column + ${c}u, params.columns - 1u) * params.stride;`)}
${eachRow((r) => `  ${repeat(columns, (c) => `var s${r}_${c} = 0.0;`, " ")}`)}
  let whole = params.end${width === 4 ? "" : " / 4u * 4u"};
  for (var k = params.first; k < whole; k += ${width === 4 ? 1 : 4}u) {
${eachColumn((c) => `    let b${c} = ${load("weight", `w${c} + k`, width)};`)}
${
    eachRow((r) =>
      `    let a${r} = ${load("x", `x${r} + k`, width)};
    ${repeat(columns, (c) => `s${r}_${c} += dot(a${r}, b${c});`, " ")}`
    )
  }
  }
${
    width === 4 ? "" : `  for (var k = whole; k < params.end; k++) {
${eachColumn((c) => `    let b${c} = f32(weight[w${c} + k]);`)}
${
      eachRow((r) =>
        `    let a${r} = f32(x[x${r} + k]);
    ${repeat(columns, (c) => `s${r}_${c} += a${r} * b${c};`, " ")}`
      )
    }
  }`
  }
${eachRow((r) => eachColumn((c) => `  store(row + ${r}u, column + ${c}u, s${r}_${c});`))}
}
`;
}

// ---------------------------------------------------------------------------

function repeat(count: number, line: (i: number) => string, between = "\n"): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(between);
}

function load(name: string, at: string, width: LoadWidth): string {
  if (width === 4) return `vec4<f32>(${name}[${at}])`;
  return `vec4<f32>(${[0, 1, 2, 3].map((i) => `f32(${name}[${at} + ${i}u])`).join(", ")})`;
}
