// The projection back to the residual stream: out = x · weightᵀ. One column of ROWS rows to an invocation.

const ROWS = 4u;

struct Params {
  rows: u32,
  hidden: u32,
  inner: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;        // [rows, inner]
@group(0) @binding(1) var<storage, read> weight: array<T>;   // [hidden, inner]
@group(0) @binding(2) var<storage, read_write> out: array<T>; // [rows, hidden]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;
  if (column >= params.hidden) { return; }
  let inner = params.inner;
  let first = id.y * ROWS;
  let rows = min(ROWS, params.rows - first);

  var sums = array<f32, ROWS>();
  for (var k = 0u; k < inner; k++) {
    let w = f32(weight[column * inner + k]);
    for (var r = 0u; r < rows; r++) { sums[r] += w * f32(x[(first + r) * inner + k]); }
  }
  for (var r = 0u; r < rows; r++) { out[(first + r) * params.hidden + column] = T(sums[r]); }
}
