// Where each token of a run stands in its row: out[b, t] = max(0, position + t − starts[b]).

@group(0) @binding(0) var<storage, read> position: array<i32>;
@group(0) @binding(1) var<storage, read> starts: array<i32>; // not read where HAS_STARTS is 0
@group(0) @binding(2) var<storage, read_write> out: array<i32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params { count: u32, tokens: u32 }

override HAS_STARTS: u32;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= params.count) { return; }
  var place = position[0] + i32(i % params.tokens);
  if (HAS_STARTS != 0u) { place -= starts[i / params.tokens]; }
  out[i] = max(place, 0);
}
