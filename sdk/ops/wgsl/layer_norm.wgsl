// One invocation per row: out = (x - mean(x)) / sqrt(var(x) + eps) · weight + bias.

@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> weight: array<V>;
@group(0) @binding(2) var<storage, read> bias: array<V>; // not read where HAS_BIAS is 0
@group(0) @binding(3) var<storage, read_write> out: array<V>;
@group(0) @binding(4) var<uniform> params: Params;

override HAS_BIAS: u32;

// V is what is loaded at once, A the same in f32: vectors of 4, or scalars. `steps` of them make a row of `count`.
struct Params { rows: u32, steps: u32, count: f32, eps: f32, share: f32 }

// Of a scalar, vec4 makes four copies: `share` is 1 for vectors and 1/4 for scalars.
fn total(v: A) -> f32 { return dot(vec4<f32>(v), vec4<f32>(params.share)); }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let row = id.x + id.y * groups.x * 64u;
  if (row >= params.rows) { return; }
  let start = row * params.steps;
  var sum = A();
  for (var i = 0u; i < params.steps; i++) { sum += A(x[start + i]); }
  let mean = total(sum) / params.count;
  var squares = A(); // of the distance to the mean: mean(x²) - mean(x)² would cancel
  for (var i = 0u; i < params.steps; i++) {
    let v = A(x[start + i]) - mean;
    squares += v * v;
  }
  let factor = inverseSqrt(total(squares) / params.count + params.eps);
  for (var i = 0u; i < params.steps; i++) {
    var v = (A(x[start + i]) - mean) * factor * A(weight[i]);
    if (HAS_BIAS != 0u) { v += A(bias[i]); }
    out[start + i] = V(v);
  }
}
