// Rows of `hidden` values behind each other become rows of whole vec4s. Only where hidden is not a multiple of 4.

struct Params {
  rows: u32,
  hidden: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;              // [rows, hidden]
@group(0) @binding(1) var<storage, read_write> out: array<vec4<T>>; // [rows, hidden rounded up to 4]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.y * groups.x * 64u + id.x;
  let vectors = (params.hidden + 3u) / 4u; // of a row
  if (i >= params.rows * vectors) { return; }
  let row = i / vectors;
  var v = vec4<T>();
  for (var lane = 0u; lane < 4u; lane++) {
    let column = i % vectors * 4u + lane;
    if (column < params.hidden) { v[lane] = x[row * params.hidden + column]; }
  }
  out[i] = v;
}
