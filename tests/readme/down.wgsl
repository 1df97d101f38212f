struct Params { rows: u32, hidden: u32, inner: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.hidden) { return; }
  var sum = 0.0;
  for (var k = 0u; k < params.inner; k++) {
    sum += x[id.y * params.inner + k] * weight[id.x * params.inner + k];
  }
  out[id.y * params.hidden + id.x] = sum;
}
