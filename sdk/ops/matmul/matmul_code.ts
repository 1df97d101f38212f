/**
 * WGSL for `out = a · b`, one block of `rows` by `4 · vectors` outputs per invocation.
 *
 *            k ──►
 *   a  ┌──────────┐  rows            A step takes 4 numbers of each row of a, and for each of the 4 its vectors of
 *      └──────────┘                  b: rows + 4·vectors loads for 16·rows·vectors multiply-adds.
 *   b  ┌───┐ ↓ k
 *      └───┘ 4 · vectors columns
 *
 * The twin of `linear_code.ts`, whose weights lie along k: here sums are vectors along the columns. No workgroup
 * memory and no barrier; written out, for the reasons given there.
 */

import type { LoadWidth } from "./linear_code.ts";

/** What the code is written for. */
export interface MatmulBlock {
  /** Rows of a block. */
  readonly rows: number;
  /** Vectors of four columns of a block. */
  readonly vectors: number;
  /** How a is loaded: by four along k where the depth is a multiple of four. */
  readonly widthA: LoadWidth;
  /** How b is loaded and out is stored: by four where the columns are a multiple of four. */
  readonly widthB: LoadWidth;
  /** Whether sums are added to what is in `out`. */
  readonly adds?: boolean;
}

/** What both families of `matmul` declare: the parameters, and where a matrix of the batch begins. */
export const MATMUL_PARAMS = `
// Batch dimensions, with the strides of a and b in matrices' elements (0 where one is stretched).
struct Params {
  rows: u32,
  columns: u32,
  depth: u32,
  first: u32, // of the depth: what lies from here to the end is added to what was before
  end: u32,
  row_blocks: u32,
  column_blocks: u32,
  matrices: u32,
  has_bias: u32,
  rank: u32,
  shape: array<vec4<u32>, 2>,
  a: array<vec4<u32>, 2>,
  b: array<vec4<u32>, 2>,
}

fn starts_of(matrix: u32) -> vec2<u32> {
  var rest = matrix;
  var start = vec2<u32>();
  for (var d = params.rank; d > 0u; d--) {
    let e = d - 1u;
    let size = params.shape[e / 4u][e % 4u];
    start += (rest % size) * vec2<u32>(params.a[e / 4u][e % 4u], params.b[e / 4u][e % 4u]);
    rest /= size;
  }
  return start;
}
`;

/** The code for a block; rows and columns past the end read the last one again, and are not written. */
export function matmulCode({ rows, vectors, widthA, widthB, adds }: MatmulBlock): string {
  const eachRow = (line: (r: number) => string, between = "\n") => repeat(rows, line, between);
  const eachVector = (line: (c: number) => string, between = "\n") => repeat(vectors, line, between);
  const loadB = (c: number, k: string) =>
    widthB === 4
      ? `vec4<f32>(b[start_b + (${k}) * stride + column${c}])`
      : `vec4<f32>(${repeat(4, (e) => `f32(b[start_b + (${k}) * stride + column${c}.${"xyzw"[e]}])`, ", ")})`;
  const loadA = (r: number) =>
    widthA === 4
      ? `vec4<f32>(a[row${r} + k])`
      : `vec4<f32>(${repeat(4, (e) => `f32(a[row${r} + 4u * k + ${e}u])`, ", ")})`;
  return `
@group(0) @binding(0) var<storage, read> a: array<VA>;
@group(0) @binding(1) var<storage, read> b: array<VB>;
@group(0) @binding(2) var<storage, read_write> out: array<VO>;
@group(0) @binding(3) var<uniform> params: Params;
${MATMUL_PARAMS}
fn store(matrix: u32, row: u32, column: u32, sum: vec4<f32>) {
  if (row >= params.rows) { return; }
  let at = (matrix * params.rows + row) * params.columns + column;
${
    widthB === 4
      ? `  if (column < params.columns) { out[at / 4u] = VO(sum${
        adds ? " + vec4<f32>(out[at / 4u])" : ""
      }); }`
      : `  for (var e = 0u; e < 4u && column + e < params.columns; e++) {
    out[at + e] = VO(sum[e]${adds ? " + f32(out[at + e])" : ""});
  }`
  }
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 8u;
  let blocks = params.row_blocks * params.column_blocks;
  if (i >= params.matrices * blocks) { return; }
  let matrix = i / blocks;
  let row = i % blocks / params.column_blocks * ${rows}u;
  let column = i % params.column_blocks * ${4 * vectors}u;
  let start = starts_of(matrix);
  let start_b = start.y / ${widthB}u;
  let stride = params.columns / ${widthB}u;
${
    eachRow((r) =>
      `  let row${r} = (start.x + min(row + ${r}u, params.rows - 1u) * params.depth) / ${widthA}u;`
    )
  }
${
    eachVector((c) =>
      widthB === 4
        ? `  let column${c} = min(column / 4u + ${c}u, stride - 1u);`
        : `  let column${c} = min(vec4<u32>(column + ${
          4 * c
        }u) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(stride - 1u));`
    )
  }
${eachRow((r) => `  ${eachVector((c) => `var s${r}_${c} = vec4<f32>();`, " ")}`)}
  for (var k = params.first / 4u; k < params.end / 4u; k++) {
${repeat(4, (e) => eachVector((c) => `    let b${e}_${c} = ${loadB(c, `4u * k + ${e}u`)};`))}
${
    eachRow((r) =>
      `    let a${r} = ${loadA(r)};
${
        repeat(
          4,
          (e) => `    ${eachVector((c) => `s${r}_${c} += a${r}.${"xyzw"[e]} * b${e}_${c};`, " ")}`,
        )
      }`
    )
  }
  }
${
    widthA === 4 ? "" : `  for (var k = params.end / 4u * 4u; k < params.end; k++) {
${eachVector((c) => `    let b${c} = ${loadB(c, "k")};`)}
${
      eachRow((r) =>
        `    let a${r} = f32(a[row${r} + k]); ${eachVector((c) => `s${r}_${c} += a${r} * b${c};`, " ")}`
      )
    }
  }`
  }
${eachRow((r) => eachVector((c) => `  store(matrix, row + ${r}u, column + ${4 * c}u, s${r}_${c});`))}
}
`;
}

// ---------------------------------------------------------------------------

function repeat(count: number, line: (i: number) => string, between = "\n"): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(between);
}
