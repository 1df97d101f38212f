/**
 * WGSL for a product with one matrix of many: x[cell] · W[expert of the cell]ᵀ, where a cell is one choice of one row.
 *
 *   order   │ expert 0  │ expert 1 │ …   cells sorted by expert (sort_by_expert.wgsl)
 *            └ rows ┘└──┘└ rows ┘        a block has cells of one expert: each load of a weight serves `rows` of them
 *
 * How many cells an expert has is known on the device only, so there are workgroups for the most blocks that there could
 * be, and those past the last one return. The block is written out, since sums that a loop indexes lie in memory; only
 * once all are there are they put into an array, so that one loop can store them.
 */

/** The code for blocks of `rows` cells by `columns` results. Those past the end repeat the last, and are not written. */
export function expertProduct(rows: number, columns: number): string {
  const eachRow = (line: (r: number) => string) => list(rows, line, "\n");
  const eachColumn = (line: (c: number) => string, between = "\n") => list(columns, line, between);
  return `
struct Params {
  experts: u32,
  steps: u32,    // vec4s in a row of x
  columns: u32,  // rows of an expert's matrix
  cells_of_row: u32, // how many cells share a row of x
}

@group(0) @binding(0) var<storage, read> x: array<V>;         // [cells / cells_of_row, steps]
@group(0) @binding(1) var<storage, read> weight: array<V>;    // [experts, columns, steps]
@group(0) @binding(2) var<storage, read> order: array<u32>;   // [cells]
@group(0) @binding(3) var<storage, read> starts: array<u32>;  // [experts + 1]
@group(0) @binding(4) var<storage, read_write> out: array<T>; // [cells, columns]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  // The expert that has this block, and the block's first cell in order.
  var block = group.y;
  var expert = 0u;
  for (; expert < params.experts; expert++) {
    let blocks = (starts[expert + 1u] - starts[expert] + ${rows - 1}u) / ${rows}u;
    if (block < blocks) { break; }
    block -= blocks;
  }
  let column = (group.x * 8u + local.x) * ${columns}u;
  if (expert == params.experts || column >= params.columns) { return; }
  let first = starts[expert] + block * ${rows}u;
  let end = starts[expert + 1u];

${eachRow((r) => `  let x${r} = order[min(first + ${r}u, end - 1u)] / params.cells_of_row * params.steps;`)}
  let matrix = expert * params.columns;
${eachColumn((c) => `  let w${c} = (matrix + min(column + ${c}u, params.columns - 1u)) * params.steps;`)}
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
${eachRow((r) => `    array(${eachColumn((c) => `s${r}_${c}`, ", ")}),`)}
  );
  for (var r = 0u; r < min(${rows}u, end - first); r++) {
    let at = order[first + r] * params.columns + column;
    for (var c = 0u; c < min(${columns}u, params.columns - column); c++) { out[at + c] = T(sums[r][c]); }
  }
}
`;
}

// ---------------------------------------------------------------------------

function list(count: number, line: (i: number) => string, between: string): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(between);
}
