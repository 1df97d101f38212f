/**
 * WGSL for q, k and v of the same x: one block of `rows` by `columns` results to an invocation.
 *
 *   x       ┌──────────┐ rows          The rows of the three weights lie behind each other in one matrix. A block
 *           └──────────┘               belongs to one of the three and never straddles two, whose sizes need be no
 *           ┌─ q ─┐                    multiples of `columns`.
 *   weight  ├─ k ─┤ columns of one
 *           └─ v ─┘
 *
 * A step takes 4 numbers of each of the block's rows of x and of the weight: rows + columns loads for 4 · rows · columns
 * multiply-adds. The block is written out, since sums that a loop indexes lie in memory; only once all are there
 * are they put into an array, so that one loop can store them, four at once where all sizes allow it: the three stores,
 * one for each result, are what a prompt through narrow weights waits for.
 */

/**
 * The code for a block. Rows and columns past the end repeat the last one, and are not written.
 *
 * @param together How many columns are stored at once: 4, or 1. All three sizes are multiples of it.
 */
export function projectQKV(rows: number, columns: number, together: 4 | 1): string {
  const eachRow = (line: (r: number) => string, between = "\n") => list(rows, line, between);
  const eachColumn = (line: (c: number) => string, between = "\n") => list(columns, line, between);
  const stores = columns / together; // of a row
  const stored = (r: number) =>
    list(stores, (i) => `S(${list(together, (c) => `s${r}_${i * together + c}`, ", ")})`, ", ");
  return `
// Types: V four values of the dtype, O what is stored at once, S the sum of it in f32.
struct Params {
  rows: u32,
  steps: u32,         // vec4s in a row of x
  sizes: vec3<u32>,   // columns of q, k and v
  has_bias: u32,
  blocks: vec3<u32>,  // blocks of columns of q, k and v
}

@group(0) @binding(0) var<storage, read> x: array<V>;         // [rows, steps]
@group(0) @binding(1) var<storage, read> weight: array<V>;    // [q + k + v, steps]
@group(0) @binding(2) var<storage, read> bias: array<O>;      // [q + k + v], not read where has_bias is 0
@group(0) @binding(3) var<storage, read_write> q: array<O>;   // [rows, sizes.x]
@group(0) @binding(4) var<storage, read_write> k: array<O>;   // [rows, sizes.y]
@group(0) @binding(5) var<storage, read_write> v: array<O>;   // [rows, sizes.z]
@group(0) @binding(6) var<uniform> params: Params;

struct Tile {
  part: u32,    // 0 q, 1 k, 2 v
  first: u32,   // the part's first row of the weight
  size: u32,    // the part's columns
  column: u32,  // the block's first column in the part
}

fn find_tile(index: u32) -> Tile {
  let s = params.sizes;
  let b = params.blocks;
  if (index < b.x) { return Tile(0u, 0u, s.x, index * ${columns}u); }
  if (index < b.x + b.y) { return Tile(1u, s.x, s.y, (index - b.x) * ${columns}u); }
  return Tile(2u, s.x + s.y, s.z, (index - b.x - b.y) * ${columns}u);
}

fn with_bias(sum: S, at: u32) -> O {
  if (params.has_bias == 0u) { return O(sum); }
  return O(sum + S(bias[at]));
}

// The row comes from the workgroup's number alone, so all its invocations read the same x.
@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let index = group.x * 8u + local.x;
  if (index >= params.blocks.x + params.blocks.y + params.blocks.z) { return; }
  let tile = find_tile(index);
  let row = group.y * ${rows}u;
${eachRow((r) => `  let x${r} = min(row + ${r}u, params.rows - 1u) * params.steps;`)}
${eachColumn((c) => `  let w${c} = (tile.first + min(tile.column + ${c}u, tile.size - 1u)) * params.steps;`)}
${eachRow((r) => `  ${eachColumn((c) => `var s${r}_${c} = 0.0;`, " ")}`)}
  for (var i = 0u; i < params.steps; i++) {
${eachColumn((c) => `    let b${c} = vec4<f32>(weight[w${c} + i]);`)}
${
    eachRow((r) =>
      `    let a${r} = vec4<f32>(x[x${r} + i]);
    ${eachColumn((c) => `s${r}_${c} += dot(a${r}, b${c});`, " ")}`
    )
  }
  }
  var sums = array(
${eachRow((r) => `    array(${stored(r)}),`)}
  );
  let count = min(${stores}u, (tile.size - tile.column) / ${together}u);
  let first = (tile.first + tile.column) / ${together}u;
  for (var r = 0u; r < min(${rows}u, params.rows - row); r++) {
    let at = ((row + r) * tile.size + tile.column) / ${together}u;
    // A loop for each: an invocation then runs through one of them only, and not past three stores for each number.
    switch (tile.part) {
      case 0u: { for (var c = 0u; c < count; c++) { q[at + c] = with_bias(sums[r][c], first + c); } }
      case 1u: { for (var c = 0u; c < count; c++) { k[at + c] = with_bias(sums[r][c], first + c); } }
      default: { for (var c = 0u; c < count; c++) { v[at + c] = with_bias(sums[r][c], first + c); } }
    }
  }
}
`;
}

// ---------------------------------------------------------------------------

function list(count: number, line: (i: number) => string, between: string): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(between);
}
