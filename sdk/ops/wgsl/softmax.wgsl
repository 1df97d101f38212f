// Softmax along a line in two walks, the first one online. Its state is the largest element and the sum of the
// exponentials of the distances to it.

@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read_write> out: array<V>;
@group(0) @binding(2) var<uniform> params: Params;

// V is what is loaded at once, A the same in f32: vectors of 4, or scalars. `steps` of them, `inner` apart, make a line.
struct Params { lines: u32, steps: u32, inner: u32, share: f32 }

const LEAST = -3.4028234663852886e38; // the least finite f32: nothing but −∞ is below it

fn walk(start: u32, first: u32, by: u32) -> S {
  var largest = A(LEAST); // finite, since infinity less infinity is NaN
  var sums = A();
  for (var i = first; i < params.steps; i += by) {
    let v = A(x[start + i * params.inner]);
    let now = max(largest, v);
    sums = sums * exp(largest - now) + exp(v - now);
    largest = now;
  }
  // Of a scalar, vec4 makes four copies: `share` is 1 for vectors and 1/4 for scalars.
  let each = vec4<f32>(largest);
  let most = max(max(each.x, each.y), max(each.z, each.w));
  return S(most, dot(vec4<f32>(sums) * exp(each - most), vec4<f32>(params.share)));
}

fn merge(a: S, b: S) -> S {
  let most = max(a.x, b.x);
  return S(most, a.y * exp(a.x - most) + b.y * exp(b.x - most));
}

fn finish(line: u32, start: u32, first: u32, by: u32, all: S) {
  for (var i = first; i < params.steps; i += by) {
    let at = start + i * params.inner;
    out[at] = V(exp(A(x[at]) - all.x) / all.y);
  }
}
