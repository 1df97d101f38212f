// One row to an invocation: no barrier, and the row is walked twice while it is in the cache.

override ROWS: u32 = 16; // rows to a workgroup

struct Params {
  rows: u32,
  cols: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;           // [rows, cols]
@group(0) @binding(1) var<storage, read> scale: array<vec4<T>>; // [cols padded to a multiple of 4]
@group(0) @binding(2) var<storage, read_write> out: array<T>;   // [rows, cols]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(ROWS)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let row = id.y * groups.x * ROWS + id.x;
  if (row >= params.rows) { return; }
  let start = row * params.cols;

  var squares = 0.0;
  for (var i = 0u; i < params.cols; i++) {
    let value = f32(x[start + i]);
    squares += value * value;
  }
  let inv_rms = inverseSqrt(squares / f32(params.cols) + params.eps);
  for (var i = 0u; i < params.cols; i += 4u) {
    let s = vec4<f32>(scale[i / 4u]) * inv_rms;
    for (var lane = 0u; lane < min(4u, params.cols - i); lane++) {
      out[start + i + lane] = T(f32(x[start + i + lane]) * s[lane]);
    }
  }
}
