// One invocation per line of `count` elements, `inner` apart: the place of the largest, the first of equals.

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> out: array<i32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params { lines: u32, count: u32, inner: u32 }

// By its bits: drivers may assume that there is no NaN where floats are compared.
fn is_nan(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let line = id.x + id.y * groups.x * 64u;
  if (line >= params.lines) { return; }
  let start = line / params.inner * params.count * params.inner + line % params.inner;
  var best = 0u;
  var largest = 0.0;
  var found = false;
  for (var i = 0u; i < params.count; i++) {
    let v = f32(x[start + i * params.inner]);
    if (!is_nan(v) && (!found || v > largest)) {
      best = i;
      largest = v;
      found = true;
    }
  }
  out[line] = i32(best);
}
