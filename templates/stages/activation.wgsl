// act(x), or act(x) · up: one element to an invocation. To improve: four elements at once.

override KIND: u32 = 0; // 0 SiLU, 1 GELU, 2 ReLU

struct Params {
  size: u32,
  gated: u32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> up: array<T>; // not read where gated is 0
@group(0) @binding(2) var<storage, read_write> out: array<T>;
@group(0) @binding(3) var<uniform> params: Params;

// 1 - erf(z) for z >= 0, to 1.2e-7 of its value (Numerical Recipes, erfcc).
fn erfc(z: f32) -> f32 {
  let t = 1.0 / (1.0 + 0.5 * z);
  return t * exp(-z * z - 1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 +
    t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277)))))))));
}

// 1 + erf(v) would cancel where v is negative; the tail itself is exact there.
fn gelu(v: f32) -> f32 {
  let tail = 0.5 * erfc(abs(v) * 0.70710678);
  return v * select(tail, 1.0 - tail, v >= 0.0);
}

fn act(v: f32) -> f32 {
  if (KIND == 0u) { return v / (1.0 + exp(-v)); }
  if (KIND == 1u) { return gelu(v); }
  return select(v, 0.0, v < 0.0); // NaN stays NaN
}

@compute @workgroup_size(64)
fn main(
  @builtin(global_invocation_id) id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
) {
  let i = id.y * groups.x * 64u + id.x;
  if (i >= params.size) { return; }
  var y = act(f32(x[i]));
  if (params.gated != 0u) { y *= f32(up[i]); }
  out[i] = T(y);
}
