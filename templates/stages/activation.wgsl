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

// The error function, within 1.2e-7 (Numerical Recipes, erfcc), so that GELU is exact in f32.
fn erf(x: f32) -> f32 {
  let t = 1.0 / (1.0 + 0.5 * abs(x));
  let p = t * exp(-x * x - 1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 +
    t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277)))))))));
  return select(p - 1.0, 1.0 - p, x >= 0.0);
}

fn act(x: f32) -> f32 {
  if (KIND == 0u) { return x / (1.0 + exp(-x)); }
  if (KIND == 1u) { return 0.5 * x * (1.0 + erf(x * 0.70710678)); }
  return select(x, 0.0, x < 0.0); // NaN stays NaN
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
