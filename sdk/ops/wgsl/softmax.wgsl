// One invocation per line of `count` elements, `inner` apart: softmax in two walks, the first one online.

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> out: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params { lines: u32, count: u32, inner: u32 }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let line = id.x + id.y * groups.x * 64u;
  if (line >= params.lines) { return; }
  let start = line / params.inner * params.count * params.inner + line % params.inner;
  var largest = -3.0e38; // finite, since infinity less infinity is NaN
  var sum = 0.0;
  for (var i = 0u; i < params.count; i++) {
    let v = f32(x[start + i * params.inner]);
    let now = max(largest, v);
    sum = sum * exp(largest - now) + exp(v - now);
    largest = now;
  }
  for (var i = 0u; i < params.count; i++) {
    let at = start + i * params.inner;
    out[at] = T(exp(f32(x[at]) - largest) / sum);
  }
}
