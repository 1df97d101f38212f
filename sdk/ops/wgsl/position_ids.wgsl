// One invocation per id: how many ids of its row, up to its own, are no padding, behind the padding id. A padding id gets
// the padding id itself.

@group(0) @binding(0) var<storage, read> ids: array<Id>;
@group(0) @binding(1) var<storage, read_write> out: array<i32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params { count: u32, tokens: u32, padding: u32 }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= params.count) { return; }
  var place = params.padding;
  if (u32(ids[i]) != params.padding) {
    for (var j = i - i % params.tokens; j <= i; j++) {
      if (u32(ids[j]) != params.padding) { place++; }
    }
  }
  out[i] = i32(place);
}
