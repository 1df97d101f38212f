// An element of a line stays if fewer than k of its line come before it by size, the first of equals first. Counting
// needs no sorting, and lines are as long as a model has experts. The state of a walk is the sum of what stays.

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> out: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params { lines: u32, steps: u32, inner: u32, k: u32, normalize: u32 }

fn walk(start: u32, first: u32, by: u32) -> S {
  var sum = 0.0;
  for (var i = first; i < params.steps; i += by) {
    let v = f32(x[start + i]);
    var before = 0u;
    for (var j = 0u; j < params.steps; j++) {
      let other = f32(x[start + j]);
      before += select(0u, 1u, other > v || (other == v && j < i));
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
