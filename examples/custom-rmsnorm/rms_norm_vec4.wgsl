// The same for rows of whole vec4s: a fourth of the loads, which is what a norm waits for.

override ROWS: u32 = 16; // rows to a workgroup

struct Params {
  rows: u32,
  cols: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<vec4<T>>;        // [rows, cols], four values in each element
@group(0) @binding(1) var<storage, read> scale: array<vec4<T>>;    // [cols]
@group(0) @binding(2) var<storage, read_write> out: array<vec4<T>>; // [rows, cols]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(ROWS)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = id.y * groups.x * ROWS + id.x;
  if (row >= params.rows) { return; }
  let steps = params.cols / 4u;
  let start = row * steps;

  var squares = vec4f();
  for (var i = 0u; i < steps; i++) {
    let value = vec4f(x[start + i]);
    squares += value * value;
  }
  let mean = dot(squares, vec4f(1.0)) / f32(params.cols);
  let inv_rms = inverseSqrt(mean + params.eps);
  for (var i = 0u; i < steps; i++) {
    out[start + i] = vec4<T>(vec4f(x[start + i]) * inv_rms * vec4f(scale[i]));
  }
}
