// An element of a line stays if fewer than k of its line come before it by size, NaN first, and the first of equals first. Counting
// needs no sorting, and lines are as long as a model has experts. The state of a walk is the sum of what stays.

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> out: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params { lines: u32, steps: u32, inner: u32, k: u32, normalize: u32 }

// Larger numbers have larger keys, both zeros have one, and NaN has the largest: told by its bits, since drivers may
// assume that there is none.
fn key_of(v: f32) -> u32 {
  let bits = bitcast<u32>(v);
  let size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) { return 0xffffffffu; }
  return select(0x80000000u + size, 0x80000000u - size, bits > size);
}

fn walk(start: u32, first: u32, by: u32) -> S {
  var sum = 0.0;
  for (var i = first; i < params.steps; i += by) {
    let v = f32(x[start + i]);
    let key = key_of(v);
    var before = 0u;
    for (var j = 0u; j < params.steps; j++) {
      let other = key_of(f32(x[start + j]));
      before += select(0u, 1u, other > key || (other == key && j < i));
    }
    let kept = select(0.0, v, before < params.k);
    sum += kept;
    out[start + i] = T(kept);
  }
  return sum;
}

fn merge(a: S, b: S) -> S { return a + b; }

fn finish(line: u32, start: u32, first: u32, by: u32, sum: S) {
  if (params.normalize == 0u || sum == 0.0) { return; }
  for (var i = first; i < params.steps; i += by) { out[start + i] = T(f32(out[start + i]) / sum); }
}
