// silu(gate) · up, where a row holds all of gate and behind it all of up. An invocation makes 4 columns of several
// rows: no division finds them, and the workgroups stay few.

struct Params {
  rows: u32,
  fours: u32,  // vec4s in a row of out
}

@group(0) @binding(0) var<storage, read> gate_up: array<V>;    // [rows, 2 · fours]
@group(0) @binding(1) var<storage, read_write> out: array<V>;  // [rows, fours]
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  if (id.x >= params.fours) { return; }
  for (var row = id.y; row < params.rows; row += groups.y) {
    let at = row * 2u * params.fours + id.x;
    let gate = vec4<f32>(gate_up[at]);
    let up = vec4<f32>(gate_up[at + params.fours]);
    out[row * params.fours + id.x] = V(gate / (1.0 + exp(-gate)) * up);
  }
}
