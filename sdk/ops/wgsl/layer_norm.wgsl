// out = (x - mean(x)) / sqrt(var(x) + eps) · weight + bias along a line. The state of a walk is how many elements
// it saw, their mean in two parts, the second of them small, and the sum of the squares of their distance to it.

@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> weight: array<V>;
@group(0) @binding(2) var<storage, read> bias: array<V>; // not read where HAS_BIAS is 0
@group(0) @binding(3) var<storage, read_write> out: array<V>;
@group(0) @binding(4) var<uniform> params: Params;

override HAS_BIAS: u32;

// V is what is loaded at once, A the same in f32: vectors of 4, or scalars. `steps` of them make a line of `count`.
struct Params { lines: u32, steps: u32, inner: u32, count: f32, share: f32, eps: f32 }

// Of a scalar, vec4 makes four copies: `share` is 1 for vectors and 1/4 for scalars.
fn total(v: A) -> f32 { return dot(vec4<f32>(v), vec4<f32>(params.share)); }

fn walk(start: u32, first: u32, by: u32) -> S {
  if (first >= params.steps) { return S(); }
  var sum = A();
  for (var i = first; i < params.steps; i += by) { sum += A(x[start + i]); }
  let count = f32((params.steps - first + by - 1u) / by) * 4.0 * params.share;
  let mean = total(sum) / count;
  var rest = A(); // what the mean is off by: of a long line, or one far from zero, that is much
  var squares = A(); // of the distance to the mean: mean(x²) - mean(x)² would cancel
  for (var i = first; i < params.steps; i += by) {
    let v = A(x[start + i]) - mean;
    rest += v;
    squares += v * v;
  }
  let off = total(rest) / count;
  return S(count, mean, off, max(total(squares) - count * off * off, 0.0));
}

// Chan, Golub and LeVeque, 1979. The mean stays in two parts: one number could not hold it as exactly as x - mean is.
fn merge(a: S, b: S) -> S {
  let count = a.x + b.x;
  if (b.x == 0.0) { return a; }
  if (a.x == 0.0) { return b; }
  let distance = (b.y - a.y) + (b.z - a.z);
  return S(count, a.y, a.z + distance * b.x / count, a.w + b.w + distance * distance * a.x * b.x / count);
}

fn finish(line: u32, start: u32, first: u32, by: u32, all: S) {
  let factor = inverseSqrt(all.w / params.count + params.eps);
  for (var i = first; i < params.steps; i += by) {
    var v = ((A(x[start + i]) - all.y) - all.z) * factor * A(weight[i]);
    if (HAS_BIAS != 0u) { v += A(bias[i]); }
    out[start + i] = V(v);
  }
}
