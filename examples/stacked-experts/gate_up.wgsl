// silu(gate) · up for the chosen experts of each row. An invocation makes 4 columns of one expert of one row: each load
// of x serves eight products.

struct Params {
  count: u32,   // rows · top_k · quads of columns
  steps: u32,   // loads in a row of x
  inner: u32,   // columns
  top_k: u32,
}

@group(0) @binding(0) var<storage, read> x: array<V>;          // [rows, steps]
@group(0) @binding(1) var<storage, read> gate_up: array<V>;    // [experts, 2 · inner, steps]
@group(0) @binding(2) var<storage, read> chosen: array<u32>;   // [rows, top_k]
@group(0) @binding(3) var<storage, read_write> out: array<V>;  // [rows, top_k, inner]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 16u;
  if (i >= params.count) { return; }
  let steps = params.steps;
  let quads = params.inner / 4u;
  let cell = i / quads; // one of a row's choices
  let row = cell / params.top_k * steps;
  let first = (chosen[cell] * 2u * params.inner + i % quads * 4u) * steps;
  let g = vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u) * steps;
  let u = g + params.inner * steps;

  var gate = vec4<f32>();
  var up = vec4<f32>();
  for (var k = 0u; k < steps; k++) {
    let v = vec4<f32>(x[row + k]);
    // A row vector times a matrix: a product with each of the 4 columns.
    gate += v * mat4x4<f32>(
      vec4<f32>(gate_up[g.x + k]),
      vec4<f32>(gate_up[g.y + k]),
      vec4<f32>(gate_up[g.z + k]),
      vec4<f32>(gate_up[g.w + k]),
    );
    up += v * mat4x4<f32>(
      vec4<f32>(gate_up[u.x + k]),
      vec4<f32>(gate_up[u.y + k]),
      vec4<f32>(gate_up[u.z + k]),
      vec4<f32>(gate_up[u.w + k]),
    );
  }
  out[i] = V(gate / (1.0 + exp(-gate)) * up);
}
