// Back to the residual stream: the sum over a row's chosen experts, each by its share. An invocation makes 4 columns of
// one row, of all its experts, so that nothing has to be added up afterwards.

struct Params {
  count: u32,   // rows · quads of columns
  steps: u32,   // loads in a row of x
  hidden: u32,  // columns
  top_k: u32,
}

@group(0) @binding(0) var<storage, read> x: array<V>;          // [rows, top_k, steps]
@group(0) @binding(1) var<storage, read> down: array<V>;       // [experts, hidden, steps]
@group(0) @binding(2) var<storage, read> chosen: array<u32>;   // [rows, top_k]
@group(0) @binding(3) var<storage, read> shares: array<f32>;   // [rows, top_k]
@group(0) @binding(4) var<storage, read_write> out: array<V>;  // [rows, hidden]
@group(0) @binding(5) var<uniform> params: Params;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 16u;
  if (i >= params.count) { return; }
  let steps = params.steps;
  let quads = params.hidden / 4u;
  let choices = i / quads * params.top_k;

  var all = 0.0;
  for (var c = choices; c < choices + params.top_k; c++) { all += shares[c]; }

  var sum = vec4<f32>();
  for (var c = choices; c < choices + params.top_k; c++) {
    let first = (chosen[c] * params.hidden + i % quads * 4u) * steps;
    let w = vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u) * steps;
    var part = vec4<f32>();
    for (var k = 0u; k < steps; k++) {
      part += vec4<f32>(x[c * steps + k]) * mat4x4<f32>(
        vec4<f32>(down[w.x + k]),
        vec4<f32>(down[w.y + k]),
        vec4<f32>(down[w.z + k]),
        vec4<f32>(down[w.w + k]),
      );
    }
    sum += part * (shares[c] / all);
  }
  out[i] = V(sum);
}
