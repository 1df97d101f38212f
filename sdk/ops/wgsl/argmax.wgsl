// The place of the largest along a line, the first of equals. The state of a walk is the bits of the largest so
// far, and its place; NOWHERE while it saw nothing but NaN. Where `mark` is set, a line that has NaN or +∞, or nothing
// finite, gets −1 instead of a place.

@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read_write> out: array<i32>;
@group(0) @binding(2) var<uniform> params: Params;

// V is what is loaded at once: a vector of `width` 4, or a scalar. `steps` of them, `inner` apart, make a line.
struct Params { lines: u32, steps: u32, inner: u32, width: u32, mark: u32 }

const NOWHERE = 0xffffffffu;
const BROKEN = 0xfffffffeu; // NaN or +∞ was seen, and counts

// By its bits: drivers may assume that there is no NaN where floats are compared.
fn numbers(v: vec4<f32>) -> vec4<bool> { return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) <= vec4<u32>(0x7f800000u); }

// Of a scalar, vec4 makes four copies, which find the same place.
fn walk(start: u32, first: u32, by: u32) -> S {
  var largest = vec4<f32>();
  var places = vec4<u32>(NOWHERE);
  var broken = vec4<bool>();
  let offsets = select(vec4<u32>(), vec4<u32>(0u, 1u, 2u, 3u), params.width == 4u);
  for (var i = first; i < params.steps; i += by) {
    let v = vec4<f32>(A(x[start + i * params.inner]));
    broken |= !numbers(v) | (bitcast<vec4<u32>>(v) == vec4<u32>(0x7f800000u));
    let better = numbers(v) & ((v > largest) | (places == vec4<u32>(NOWHERE)));
    largest = select(largest, v, better);
    places = select(places, i * params.width + offsets, better);
  }
  if (params.mark != 0u && any(broken)) { return S(0u, BROKEN); }
  var best = S(bitcast<u32>(largest.x), places.x);
  for (var c = 1u; c < 4u; c++) { best = merge(best, S(bitcast<u32>(largest[c]), places[c])); }
  return best;
}

fn merge(a: S, b: S) -> S {
  if (b.y == NOWHERE || a.y == BROKEN) { return a; }
  if (b.y == BROKEN) { return b; }
  let l = bitcast<f32>(a.x);
  let r = bitcast<f32>(b.x);
  if (a.y == NOWHERE || r > l || (r == l && b.y < a.y)) { return b; }
  return a;
}

fn finish(line: u32, start: u32, first: u32, by: u32, best: S) {
  if (first != 0u) { return; }
  let none = best.y == NOWHERE || best.y == BROKEN;
  if (params.mark != 0u) { out[line] = select(i32(best.y), -1, none || best.x == 0xff800000u); }
  else { out[line] = select(i32(best.y), 0, none); }
}
