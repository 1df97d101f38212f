// The results of the chunks of keys, put together: one invocation per step of a head.

@group(0) @binding(0) var<storage, read> sums: array<A>;
@group(0) @binding(1) var<storage, read> shares: array<vec2<f32>>; // the largest score and the sum of weights
@group(0) @binding(2) var<storage, read_write> out: array<V>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params { count: u32, steps: u32, chunks: u32 }

const LEAST = -3.4028234663852886e38; // the least finite f32, where chunks begin too

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= params.count) { return; }
  let first = i / params.steps * params.chunks;
  var largest = LEAST;
  var weights = 0.0;
  var sum = A();
  for (var c = first; c < first + params.chunks; c++) {
    let share = shares[c];
    let now = max(largest, share.x);
    let shrink = exp(largest - now);
    let weight = exp(share.x - now);
    largest = now;
    weights = weights * shrink + share.y * weight;
    sum = sum * shrink + sums[c * params.steps + i % params.steps] * weight;
  }
  out[i] = V(sum * select(0.0, 1.0 / weights, weights > 0.0)); // no key, no weight: zeros
}
