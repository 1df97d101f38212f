// The results of the parts, merged into one: of equal differences the one that comes first in the tensor.

@group(0) @binding(0) var<storage, read> partial: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> parts: u32;

@compute @workgroup_size(1)
fn main() {
  var result = vec4<f32>();
  for (var i = 0u; i < parts; i++) {
    let p = partial[i];
    if (p.x > result.x || (p.x == result.x && p.z < result.z)) {
      result.x = p.x;
      result.z = p.z;
    }
    result.y = max(result.y, p.y);
    result.w += p.w;
  }
  out[0] = result;
}
