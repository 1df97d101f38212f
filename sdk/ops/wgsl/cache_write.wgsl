// cache[b, position + t, …] = values[b, t, …]. Tokens past the cache's end are dropped; in a ring they go on at its
// beginning, and of those that share a slot the last one is written.

@group(0) @binding(0) var<storage, read_write> cache: array<T>;
@group(0) @binding(1) var<storage, read> values: array<T>;
@group(0) @binding(2) var<storage, read> position: array<i32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params { count: u32, tokens: u32, places: u32, width: u32, ring: u32 }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= params.count) { return; }
  let row = i / params.width / params.tokens;
  let token = i / params.width % params.tokens;
  var place = u32(position[0]) + token; // a negative one is past the end
  if (params.ring != 0u) {
    if (token + params.places < params.tokens) { return; }
    place %= params.places;
  }
  if (place >= params.places) { return; }
  cache[(row * params.places + place) * params.width + i % params.width] = values[i];
}
