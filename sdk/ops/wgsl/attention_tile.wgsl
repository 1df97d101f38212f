// Attention for real GPUs: a workgroup takes R queries of one key head over tiles of 64 keys.
//
//   1  lane j multiplies key j with every query              scores[r][j]
//   2  the largest of each query, in two steps over lanes
//   3  lane j turns its scores into weights                   weights[r][j]
//   4  lane (g, d) adds up weight · value for step d of a head, over every GROUPS-th key
//
// R and STEPS are constants that stand before this text. STEPS is at most 64.

const GROUPS = 64u / STEPS;

var<workgroup> queries: array<A, R * STEPS>;
var<workgroup> scores: array<f32, R * 64u>;
var<workgroup> largest_of: array<f32, 64>; // for each query, of each of 64 / R parts of the tile
var<workgroup> weights: array<f32, R * 64u>;
var<workgroup> gathered: array<A, R * 64u>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) id: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  var i = id.x + id.y * groups.x;
  if (i >= params.rows * params.blocks * params.key_heads * params.chunks) { return; }
  let chunk = i % params.chunks;
  i /= params.chunks;
  let key_head = i % params.key_heads;
  i /= params.key_heads;
  let first = i % params.blocks * R;
  let row = i / params.blocks;
  let last = params.tokens * (params.heads / params.key_heads) - 1u;
  let slots = slots_of(row, first, min(first + R - 1u, last));
  let range = chunk_of(slots.x, slots.y, chunk);

  for (var at = lane; at < R * STEPS; at += 64u) {
    let query = place(row, key_head, min(first + at / STEPS, last));
    queries[at] = A(q[query * STEPS + at % STEPS]) * params.scale;
  }
  var firsts: array<i32, R>;
  var ends: array<i32, R>;
  var largest: array<f32, R>;
  var own: array<f32, R>; // the weights that this lane gave
  var sum: array<A, R>;
  for (var r = 0u; r < R; r++) {
    firsts[r] = first_key(row, min(first + r, last));
    ends[r] = end_key(min(first + r, last));
    largest[r] = LEAST;
    own[r] = 0.0;
    sum[r] = A();
  }
  let step = lane % STEPS;
  let group = lane / STEPS;
  workgroupBarrier();

  for (var tile = range.x; tile < range.y; tile += 64) {
    let j = tile + i32(lane);
    var products: array<A, R>;
    for (var r = 0u; r < R; r++) { products[r] = A(); }
    if (j < range.y) {
      let at = ((row * params.keys + u32(j)) * params.key_heads + key_head) * STEPS;
      for (var d = 0u; d < STEPS; d++) {
        let key = A(k[at + d]);
        for (var r = 0u; r < R; r++) { products[r] += queries[r * STEPS + d] * key; }
      }
    }
    for (var r = 0u; r < R; r++) {
      let seen = j < range.y && visible(row, j, firsts[r], ends[r]);
      scores[r * 64u + lane] = select(LEAST, capped(total(products[r])), seen);
    }
    workgroupBarrier();
    var most = LEAST;
    for (var e = 0u; e < R; e++) { most = max(most, scores[lane * R + e]); }
    largest_of[lane] = most;
    workgroupBarrier();
    for (var r = 0u; r < R; r++) {
      var now = largest[r];
      for (var e = 0u; e < 64u / R; e++) { now = max(now, largest_of[r * (64u / R) + e]); }
      let shrink = exp(largest[r] - now);
      let seen = j < range.y && visible(row, j, firsts[r], ends[r]);
      let weight = select(0.0, exp(scores[r * 64u + lane] - now), seen);
      largest[r] = now;
      own[r] = own[r] * shrink + weight;
      sum[r] *= shrink;
      weights[r * 64u + lane] = weight;
    }
    workgroupBarrier();
    if (group < GROUPS) {
      for (var e = group; e < u32(min(64, range.y - tile)); e += GROUPS) {
        let at = ((row * params.keys + u32(tile) + e) * params.key_heads + key_head) * STEPS;
        let value = A(v[at + step]);
        for (var r = 0u; r < R; r++) { sum[r] += weights[r * 64u + e] * value; }
      }
    }
  }

  workgroupBarrier();
  for (var r = 0u; r < R; r++) {
    weights[r * 64u + lane] = own[r];
    gathered[r * 64u + lane] = sum[r];
  }
  workgroupBarrier();
  if (lane >= STEPS) { return; }
  for (var r = 0u; r < R; r++) {
    if (first + r > last) { continue; }
    var weight = 0.0;
    for (var e = 0u; e < 64u; e++) { weight += weights[r * 64u + e]; }
    var all = A();
    for (var g = 0u; g < GROUPS; g++) { all += gathered[r * 64u + g * STEPS + lane]; }
    put(place(row, key_head, first + r), chunk, lane, largest[r], weight, all);
  }
}
