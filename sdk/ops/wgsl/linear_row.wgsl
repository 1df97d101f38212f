// y = x Wᵀ + bias for few rows: one row and 16 columns per invocation.
//
// Every weight is read once; a vec4 of x is read for 16 of them.

@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> weight: array<V>;
@group(0) @binding(2) var<storage, read> bias: array<T>; // not read where HAS_BIAS is 0
@group(0) @binding(3) var<storage, read_write> out: array<T>;
@group(0) @binding(4) var<uniform> params: Params;

// `steps` of V make a row; `share` is 1 where V is a vector, 1/4 where it is a scalar.
struct Params { rows: u32, columns: u32, steps: u32, column_blocks: u32, share: f32 }

override HAS_BIAS: u32;

// Of a scalar, vec4 makes four copies.
fn total(v: A) -> f32 { return dot(vec4<f32>(v), vec4<f32>(params.share)); }

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 8u;
  if (i >= params.rows * params.column_blocks) { return; }
  let row = i / params.column_blocks;
  let column = i % params.column_blocks * 16u;
  var sums: array<A, 16>;
  for (var k = 0u; k < params.steps; k++) {
    let v = A(x[row * params.steps + k]);
    for (var c = 0u; c < 16u; c++) {
      sums[c] += v * A(weight[min(column + c, params.columns - 1u) * params.steps + k]);
    }
  }
  for (var c = 0u; c < 16u; c++) {
    if (column + c >= params.columns) { return; }
    var y = total(sums[c]);
    if (HAS_BIAS != 0u) { y += f32(bias[column + c]); }
    out[row * params.columns + column + c] = T(y);
  }
}
