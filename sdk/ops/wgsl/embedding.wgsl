// One invocation per element: out[i, h] = weight[ids[i], h], or 0 where the id is out of range.

@group(0) @binding(0) var<storage, read> ids: array<Id>;
@group(0) @binding(1) var<storage, read> weight: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<T>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params { count: u32, rows: u32, width: u32 }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= params.count) { return; }
  let row = u32(ids[i / params.width]); // a negative id becomes a very large one
  if (row < params.rows) {
    out[i] = weight[row * params.width + i % params.width];
  } else {
    out[i] = T(0.0);
  }
}
