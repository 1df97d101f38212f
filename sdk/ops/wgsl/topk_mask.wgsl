// One invocation per row: an element stays if fewer than k of its row come before it by size, the first of
// equals first. Counting needs no sorting, and rows are as long as a model has experts.

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> out: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params { rows: u32, count: u32, k: u32, normalize: u32 }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let row = id.x + id.y * groups.x * 64u;
  if (row >= params.rows) { return; }
  let start = row * params.count;
  var sum = 0.0;
  for (var i = 0u; i < params.count; i++) {
    let v = f32(x[start + i]);
    var before = 0u;
    for (var j = 0u; j < params.count; j++) {
      let other = f32(x[start + j]);
      before += select(0u, 1u, other > v || (other == v && j < i));
    }
    let kept = select(0.0, v, before < params.k);
    sum += kept;
    out[start + i] = T(kept);
  }
  if (params.normalize == 0u || sum == 0.0) { return; }
  for (var i = 0u; i < params.count; i++) { out[start + i] = T(f32(out[start + i]) / sum); }
}
