// One invocation per head of a token: scores, softmax and the weighted sum of values in one walk over the keys.
//
// The softmax is online (Milakov and Gimelshein, 2018): a larger score than the largest so far shrinks what was
// summed up. No score is ever stored.

@group(0) @binding(0) var<storage, read> q: array<V>;
@group(0) @binding(1) var<storage, read> k: array<V>;
@group(0) @binding(2) var<storage, read> v: array<V>;
@group(0) @binding(3) var<storage, read> position: array<i32>;
@group(0) @binding(4) var<storage, read> starts: array<i32>; // not read where has_starts is 0
@group(0) @binding(5) var<storage, read_write> out: array<V>;
@group(0) @binding(6) var<uniform> params: Params;

// `steps` of V make a head; `share` is 1 where V is a vector, 1/4 where it is a scalar.
struct Params {
  count: u32,
  tokens: u32,
  keys: u32,
  heads: u32,
  key_heads: u32,
  scale: f32,
  share: f32,
  has_starts: u32,
  causal: u32,
}

override STEPS: u32;

// Of a scalar, vec4 makes four copies.
fn total(v: A) -> f32 { return dot(vec4<f32>(v), vec4<f32>(params.share)); }

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 8u; // a head of a token of a row
  if (i >= params.count) { return; }
  let head = i % params.heads;
  let token = i / params.heads % params.tokens;
  let row = i / params.heads / params.tokens;
  let key_head = head / (params.heads / params.key_heads);

  var first = 0;
  if (params.has_starts != 0u) { first = max(starts[row], 0); }
  var end = i32(params.keys);
  if (params.causal != 0u) { end = min(end, position[0] + i32(token) + 1); }

  var query: Head;
  var sums: Head;
  for (var d = 0u; d < STEPS; d++) {
    query[d] = A(q[i * STEPS + d]) * params.scale;
    sums[d] = A();
  }
  var largest = -3.0e38;
  var weights = 0.0;
  for (var j = first; j < end; j++) {
    let at = ((row * params.keys + u32(j)) * params.key_heads + key_head) * STEPS;
    var products = A();
    for (var d = 0u; d < STEPS; d++) { products += query[d] * A(k[at + d]); }
    let score = total(products);
    let now = max(largest, score);
    let shrink = exp(largest - now);
    let weight = exp(score - now);
    largest = now;
    weights = weights * shrink + weight;
    for (var d = 0u; d < STEPS; d++) { sums[d] = sums[d] * shrink + weight * A(v[at + d]); }
  }
  // A query that sees no key gets zeros.
  let factor = select(0.0, 1.0 / weights, weights > 0.0);
  for (var d = 0u; d < STEPS; d++) { out[i * STEPS + d] = V(sums[d] * factor); }
}
