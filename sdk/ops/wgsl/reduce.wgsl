// One invocation per line of `count` elements, `inner` apart: their sum, mean or maximum.

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> out: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params { lines: u32, count: u32, inner: u32 }

override OP: u32; // 0 sum, 1 mean, 2 maximum

// By its bits: drivers may assume that there is no NaN where floats are compared.
fn is_nan(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let line = id.x + id.y * groups.x * 64u;
  if (line >= params.lines) { return; }
  let start = line / params.inner * params.count * params.inner + line % params.inner;
  if (OP == 2u) {
    var largest = f32(x[start]);
    for (var i = 1u; i < params.count; i++) {
      let v = f32(x[start + i * params.inner]);
      if (v > largest || is_nan(v)) { largest = v; } // a NaN stays: nothing is larger than it
    }
    out[line] = T(largest);
    return;
  }
  // Four sums in turn: the error of a long sum grows with its length.
  var sums = vec4<f32>();
  for (var i = 0u; i < params.count; i++) { sums[i % 4u] += f32(x[start + i * params.inner]); }
  var sum = sums.x + sums.y + sums.z + sums.w;
  if (OP == 1u) { sum /= f32(params.count); }
  out[line] = T(sum);
}
