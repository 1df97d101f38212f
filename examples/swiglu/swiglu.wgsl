// silu(gate) · up, element by element.

struct Params {
  size: u32,
}

@group(0) @binding(0) var<storage, read> gate: array<T>;
@group(0) @binding(1) var<storage, read> up: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<T>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = id.y * groups.x * 256u + id.x;
  if (i >= params.size) { return; }
  let g = f32(gate[i]);
  out[i] = T(g / (1.0 + exp(-g)) * f32(up[i]));
}
