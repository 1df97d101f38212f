// out = x / sqrt(mean(x²) + eps) · (weight + offset) along a line. The state of a walk is its sum of squares.

@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> weight: array<V>;
@group(0) @binding(2) var<storage, read_write> out: array<V>;
@group(0) @binding(3) var<uniform> params: Params;

// V is what is loaded at once, A the same in f32: vectors of 4, or scalars. `steps` of them make a line of `count`.
struct Params { lines: u32, steps: u32, inner: u32, count: f32, share: f32, eps: f32, offset: f32 }

fn walk(start: u32, first: u32, by: u32) -> S {
  var squares = A();
  for (var i = first; i < params.steps; i += by) {
    let v = A(x[start + i]);
    squares += v * v;
  }
  // Of a scalar, vec4 makes four copies: `share` is 1 for vectors and 1/4 for scalars.
  return dot(vec4<f32>(squares), vec4<f32>(params.share));
}

fn merge(a: S, b: S) -> S { return a + b; }

fn finish(line: u32, start: u32, first: u32, by: u32, squares: S) {
  let factor = inverseSqrt(squares / params.count + params.eps);
  for (var i = first; i < params.steps; i += by) {
    out[start + i] = V(A(x[start + i]) * factor * (A(weight[i]) + params.offset));
  }
}
