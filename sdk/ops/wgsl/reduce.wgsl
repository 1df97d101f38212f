// The sum, mean or maximum along a line. The state of a walk is the sum or maximum so far.

@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read_write> out: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

// V is what is loaded at once: a vector of `width` 4, or a scalar. `steps` of them, `inner` apart, make a line of
// `count`. `least` is minus infinity, which no constant may be.
struct Params { lines: u32, steps: u32, inner: u32, width: u32, count: f32, least: f32 }

override OP: u32; // 0 sum, 1 mean, 2 maximum

// By its bits: drivers may assume that there is no NaN where floats are compared.
fn is_nan(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }

fn walk(start: u32, first: u32, by: u32) -> S {
  if (OP == 2u) {
    var largest = params.least;
    for (var i = first; i < params.steps; i += by) {
      let v = vec4<f32>(A(x[start + i * params.inner]));
      for (var c = 0u; c < params.width; c++) { largest = merge(largest, v[c]); }
    }
    return largest;
  }
  // Four sums, scalars in turn: the error of a long sum grows with its length.
  var sums = vec4<f32>();
  var turn = select(vec4<bool>(true, false, false, false), vec4<bool>(true), params.width == 4u);
  for (var i = first; i < params.steps; i += by) {
    sums += select(vec4<f32>(), vec4<f32>(A(x[start + i * params.inner])), turn);
    turn = turn.wxyz;
  }
  return sums.x + sums.y + sums.z + sums.w;
}

fn merge(a: S, b: S) -> S {
  if (OP != 2u) { return a + b; }
  return select(a, b, !is_nan(a) && (b > a || is_nan(b))); // a NaN stays: nothing is larger than it
}

fn finish(line: u32, start: u32, first: u32, by: u32, all: S) {
  if (first == 0u) { out[line] = T(select(all, all / params.count, OP == 1u)); }
}
