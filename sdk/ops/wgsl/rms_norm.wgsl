// One invocation per row: out = x / sqrt(mean(x²) + eps) · weight.

@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> weight: array<V>;
@group(0) @binding(2) var<storage, read_write> out: array<V>;
@group(0) @binding(3) var<uniform> params: Params;

// V is what is loaded at once, A the same in f32: vectors of 4, or scalars. `steps` of them make a row of `count`.
struct Params { rows: u32, steps: u32, count: f32, eps: f32, share: f32 }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let row = id.x + id.y * groups.x * 64u;
  if (row >= params.rows) { return; }
  let start = row * params.steps;
  var squares = A();
  for (var i = 0u; i < params.steps; i++) {
    let v = A(x[start + i]);
    squares += v * v;
  }
  // Of a scalar, vec4 makes four copies: `share` is 1 for vectors and 1/4 for scalars.
  let mean = dot(vec4<f32>(squares), vec4<f32>(params.share)) / params.count;
  let factor = inverseSqrt(mean + params.eps);
  for (var i = 0u; i < params.steps; i++) {
    out[start + i] = V(A(x[start + i]) * factor * A(weight[i]));
  }
}
