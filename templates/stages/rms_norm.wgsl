// One row to an invocation. To improve: read vec4s, or give a row to a whole workgroup.

struct Params {
  rows: u32,
  cols: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> weight: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<T>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(16)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = id.x + id.y * groups.x * 16u;
  if (row >= params.rows) { return; }
  let start = row * params.cols;
  var squares = 0.0;
  for (var i = 0u; i < params.cols; i++) {
    let value = f32(x[start + i]);
    squares += value * value;
  }
  let inv_rms = inverseSqrt(squares / f32(params.cols) + params.eps);
  for (var i = 0u; i < params.cols; i++) {
    out[start + i] = T(f32(x[start + i]) * inv_rms * f32(weight[i]));
  }
}
