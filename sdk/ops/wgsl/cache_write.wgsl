// cache[b, position + t, …] = values[b, t, …]; tokens past the cache's end are dropped.

@group(0) @binding(0) var<storage, read_write> cache: array<T>;
@group(0) @binding(1) var<storage, read> values: array<T>;
@group(0) @binding(2) var<storage, read> position: array<i32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params { count: u32, tokens: u32, places: u32, width: u32 }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= params.count) { return; }
  let row = i / params.width / params.tokens;
  let place = u32(position[0]) + i / params.width % params.tokens; // a negative one is past the end
  if (place >= params.places) { return; }
  cache[(row * params.places + place) * params.width + i % params.width] = values[i];
}
