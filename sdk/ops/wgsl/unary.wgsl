// out[i] = f(x[i]) for the function numbered OP.

override OP: u32;

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> out: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params { count: u32, factor: f32 }

// 1 - erf(z) for z >= 0, to 1.2e-7 of its value (Numerical Recipes, 6.2.2).
fn erfc(z: f32) -> f32 {
  let t = 1.0 / (1.0 + 0.5 * z);
  let p = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 +
    t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
  return t * exp(-z * z + p);
}

// The exponential of something that is not positive cannot overflow.
fn sigmoid(v: f32) -> f32 {
  let e = exp(-abs(v));
  return select(e, 1.0, v >= 0.0) / (1.0 + e);
}

fn gelu(v: f32) -> f32 {
  let tail = 0.5 * erfc(abs(v) * 0.70710678);
  return v * select(tail, 1.0 - tail, v >= 0.0);
}

// 0.5 (1 + tanh(u)) is sigmoid(2 u), and that one cancels nothing.
fn gelu_tanh(v: f32) -> f32 {
  return v * sigmoid(1.5957691216 * (v + 0.044715 * v * v * v));
}

// Drivers divide one exponential by another: infinity by infinity where v is large.
fn safe_tanh(v: f32) -> f32 {
  return select(tanh(v), sign(v), abs(v) > 10.0);
}

fn apply(v: f32) -> f32 {
  switch (OP) {
    case 0u: { return v * sigmoid(v); }
    case 1u: { return gelu(v); }
    case 2u: { return gelu_tanh(v); }
    case 3u: { return select(v, 0.0, v < 0.0); }
    case 4u: { return sigmoid(v); }
    case 5u: { return safe_tanh(v); }
    case 6u: { return exp(v); }
    case 7u: { return -v; }
    case 8u: { return sqrt(v); }
    default: { return v * params.factor; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= params.count) { return; }
  out[i] = T(apply(f32(x[i])));
}
