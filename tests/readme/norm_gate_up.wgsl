// One column of one row to an invocation. The norm's factor is pulled out of the sums.
struct Params { rows: u32, hidden: u32, inner: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read> gate_up: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.inner) { return; }
  var squares = 0.0;
  var gate = 0.0;
  var up = 0.0;
  for (var k = 0u; k < params.hidden; k++) {
    let value = x[id.y * params.hidden + k];
    squares += value * value;
    gate += value * scale[k] * gate_up[id.x * params.hidden + k];
    up += value * scale[k] * gate_up[(params.inner + id.x) * params.hidden + k];
  }
  let inv_rms = inverseSqrt(squares / f32(params.hidden) + params.eps);
  gate *= inv_rms;
  out[id.y * params.inner + id.x] = gate / (1.0 + exp(-gate)) * up * inv_rms;
}
