// Each invocation looks at a part of a and b; the first stage's partial results are the input of the second.
//
// A result is (max |a-b|, max |a-b| / max(|b|, TINY), where the first was, NaNs on one side only).

@group(0) @binding(0) var<storage, read> a: array<T>;
@group(0) @binding(1) var<storage, read> b: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params { count: u32, parts: u32, tiny: f32 }

const LARGEST = 3.4028234663852886e38; // the largest finite f32

// By its bits: drivers may assume that there is no NaN where floats are compared.
fn is_nan(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

// The distance of two large numbers is infinite in f32 though their ratio is not.
fn relative(l: f32, r: f32, d: f32) -> f32 {
  let most = max(abs(r), params.tiny);
  if (d <= LARGEST) { return d / most; }
  if (abs(l) <= LARGEST && abs(r) <= LARGEST) { return abs(l / most - r / most); }
  return d;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.parts) { return; }
  var result = vec4<f32>();
  for (var i = id.x; i < params.count; i += params.parts) {
    let l = f32(a[i]);
    let r = f32(b[i]);
    if (is_nan(l) || is_nan(r)) {
      if (is_nan(l) != is_nan(r)) { result.w += 1.0; }
      continue;
    }
    let d = select(abs(l - r), 0.0, l == r); // two equal infinities differ by nothing
    if (d > result.x) {
      result.x = d;
      result.z = f32(i);
    }
    result.y = max(result.y, relative(l, r, d));
  }
  out[id.x] = result;
}
