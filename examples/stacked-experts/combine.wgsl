// The sum over a row's chosen experts, each by its share: 4 columns of a row to an invocation.

struct Params {
  count: u32,  // rows · fours
  fours: u32,  // vec4s in a row of out
  top_k: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<V>;      // [rows, top_k, fours]
@group(0) @binding(1) var<storage, read> shares: array<f32>;   // [rows, top_k]
@group(0) @binding(2) var<storage, read_write> out: array<V>;  // [rows, fours]
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 16u;
  if (i >= params.count) { return; }
  let first = i / params.fours * params.top_k;
  var all = 0.0;
  var sum = vec4<f32>();
  for (var c = first; c < first + params.top_k; c++) {
    all += shares[c];
    sum += vec4<f32>(parts[c * params.fours + i % params.fours]) * shares[c];
  }
  out[i] = V(sum / all);
}
