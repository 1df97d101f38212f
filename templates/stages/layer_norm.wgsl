// One row to an invocation, in three walks: the mean, the variance around it, the result.

struct Params {
  rows: u32,
  cols: u32,
  eps: f32,
  has_bias: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> weight: array<T>;
@group(0) @binding(2) var<storage, read> bias: array<T>; // not read where has_bias is 0
@group(0) @binding(3) var<storage, read_write> out: array<T>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(16)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = id.x + id.y * groups.x * 16u;
  if (row >= params.rows) { return; }
  let start = row * params.cols;
  let count = f32(params.cols);
  var sum = 0.0;
  for (var i = 0u; i < params.cols; i++) { sum += f32(x[start + i]); }
  let mean = sum / count;
  var squares = 0.0;
  for (var i = 0u; i < params.cols; i++) {
    let off = f32(x[start + i]) - mean;
    squares += off * off;
  }
  let factor = inverseSqrt(squares / count + params.eps);
  for (var i = 0u; i < params.cols; i++) {
    var y = (f32(x[start + i]) - mean) * factor * f32(weight[i]);
    if (params.has_bias != 0u) { y += f32(bias[i]); }
    out[start + i] = T(y);
  }
}
