// Copies single 32-bit words from strided places to strided places.

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
  count: u32,
  rank: u32,
  source_offset: u32,
  target_offset: u32,
  shape: array<vec4<u32>, 2>,
  source_strides: array<vec4<u32>, 2>,
  target_strides: array<vec4<u32>, 2>,
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= params.count) { return; }
  var rest = i;
  var from_ = params.source_offset;
  var to = params.target_offset;
  for (var d = params.rank; d > 0u; d--) {
    let e = d - 1u;
    let size = params.shape[e / 4u][e % 4u];
    from_ += rest % size * params.source_strides[e / 4u][e % 4u];
    to += rest % size * params.target_strides[e / 4u][e % 4u];
    rest /= size;
  }
  out[to] = source[from_];
}
