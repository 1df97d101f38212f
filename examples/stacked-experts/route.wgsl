// Softmax over all experts, the top_k largest, the first of equals first. One invocation for each expert of a row: it
// counts how many go before it, and if those are few enough, their number is its place. No sorting, no barrier.

struct Params {
  count: u32,   // rows · experts
  experts: u32,
  top_k: u32,
}

@group(0) @binding(0) var<storage, read> logits: array<T>;             // [rows, experts]
@group(0) @binding(1) var<storage, read_write> chosen: array<u32>;     // [rows, top_k], the largest first
@group(0) @binding(2) var<storage, read_write> shares: array<f32>;     // [rows, top_k], not yet divided by their sum
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 16u;
  if (i >= params.count) { return; }
  let expert = i % params.experts;
  let row = i / params.experts;
  let start = row * params.experts;

  var largest = f32(logits[start]);
  var sum = 0.0;
  for (var e = 0u; e < params.experts; e++) {
    let v = f32(logits[start + e]);
    let now = max(largest, v);
    sum = sum * exp(largest - now) + exp(v - now);
    largest = now;
  }
  // Rounded as the original rounds, so that what is equal there is equal here.
  let own = T(exp(f32(logits[i]) - largest) / sum);
  var before = 0u;
  for (var e = 0u; e < params.experts; e++) {
    let other = T(exp(f32(logits[start + e]) - largest) / sum);
    // `!(own > other)` and not `own == other`: where all are NaN, each still has a place.
    before += select(0u, 1u, other > own || (e < expert && !(own > other)));
  }
  if (before < params.top_k) {
    chosen[row * params.top_k + before] = expert;
    shares[row * params.top_k + before] = f32(own);
  }
}
