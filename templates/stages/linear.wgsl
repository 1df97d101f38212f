// One output to an invocation. To improve: several outputs to an invocation, so that what is loaded is used twice.

struct Params {
  rows: u32,
  columns: u32,
  depth: u32,
  has_bias: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;         // [rows, depth]
@group(0) @binding(1) var<storage, read> weight: array<T>;    // [columns, depth]
@group(0) @binding(2) var<storage, read> bias: array<T>;      // [columns]; not read where has_bias is 0
@group(0) @binding(3) var<storage, read_write> out: array<T>; // [rows, columns]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;
  let row = id.y;
  if (column >= params.columns || row >= params.rows) { return; }
  var sum = 0.0;
  for (var k = 0u; k < params.depth; k++) {
    sum += f32(x[row * params.depth + k]) * f32(weight[column * params.depth + k]);
  }
  if (params.has_bias != 0u) { sum += f32(bias[column]); }
  out[row * params.columns + column] = T(sum);
}
