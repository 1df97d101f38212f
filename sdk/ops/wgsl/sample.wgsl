// Draws an id for each row from softmax(logits · scale), cut to the k largest and then to the fewest that have the
// share p. A workgroup has a row.
//
// Nothing is sorted. The least logit that stays is found two bits at a time: it is the largest of which enough lies at
// or above. And nothing is summed up to a random number: with noise of Gumbel's distribution added, the largest is the draw.

@group(0) @binding(0) var<storage, read> logits: array<T>;
@group(0) @binding(1) var<storage, read> position: array<i32>;
@group(0) @binding(2) var<storage, read_write> out: array<i32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params { rows: u32, count: u32, k: u32, p: f32, scale: f32, seed: u32, mark: u32 }

override GROUP: u32;
var<workgroup> lanes: Lanes; // GROUP vectors

const INFINITE = 0xff800000u; // the key of +∞
const LEAST = 0x00800001u; // the key of the least finite number: −∞ and NaN are never drawn

// Ordered as the numbers are.
fn key_of(v: f32) -> u32 {
  let bits = bitcast<u32>(v);
  let size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) { return 0u; } // NaN, told by its bits: drivers may assume that there is none
  return select(0x80000000u + size, 0x80000000u - size, bits > size);
}

// v below the row's largest, by temperature.
fn below(v: f32, largest: f32) -> f32 {
  return select(max((v - largest) * params.scale, -1e30), 0.0, v == largest);
}

fn share(lane: u32, own: vec3<f32>) {
  workgroupBarrier(); // what was shared before has been read
  lanes[lane] = own;
  workgroupBarrier();
}

fn total(lane: u32, own: vec3<f32>) -> vec3<f32> {
  share(lane, own);
  var all = vec3<f32>();
  for (var i = 0u; i < GROUP; i++) { all += lanes[i]; }
  return all;
}

// The largest key of which `need` lies at or above: so many elements, or so much of their weight.
fn threshold(lane: u32, start: u32, least: u32, largest: f32, weighted: bool, need: f32) -> u32 {
  var found = 0u;
  for (var step = 0u; step < 16u; step++) {
    let shift = 30u - 2u * step;
    let tried = found + (vec3<u32>(1u, 2u, 3u) << vec3<u32>(shift));
    var sums = vec3<f32>();
    for (var i = lane; i < params.count; i += GROUP) {
      let v = f32(logits[start + i]);
      let key = vec3<u32>(key_of(v));
      let weight = select(1.0, exp(below(v, largest)), weighted);
      sums += select(vec3<f32>(), vec3<f32>(weight), (key >= tried) & (key >= vec3<u32>(least)));
    }
    let enough = total(lane, sums) >= vec3<f32>(need);
    found += dot(vec3<u32>(enough), vec3<u32>(1u)) << shift;
  }
  return max(found, least);
}

// «pcg4d» of Jarzynski and Olano, Hash Functions for GPU Rendering (2020).
fn hash(key: vec4<u32>) -> u32 {
  var v = key * 1664525u + 1013904223u;
  for (var round = 0u; round < 2u; round++) {
    if (round == 1u) { v ^= v >> vec4<u32>(16u); }
    v.x += v.y * v.w;
    v.y += v.z * v.x;
    v.z += v.x * v.y;
    v.w += v.y * v.z;
  }
  return v.x;
}

// −log(−log(u)) of a number between 0 and 1. Near 1, where drivers' logarithms are coarse, by its series.
fn gumbel(row: u32, i: u32) -> f32 {
  let bits = f32(hash(vec4<u32>(params.seed, bitcast<u32>(position[0]), row, i)) >> 9u);
  let u = (bits + 0.5) / 8388608.0;
  let rest = (8388607.5 - bits) / 8388608.0;
  return -log(select(-log(u), rest * (1.0 + rest * (0.5 + rest / 3.0)), rest < 0.01));
}

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) id: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = id.x + id.y * groups.x;
  if (row >= params.rows) { return; }
  let start = row * params.count;

  var own = 0u;
  var broken = 0.0; // whether there is NaN or +∞
  for (var i = lane; i < params.count; i += GROUP) {
    let key = key_of(f32(logits[start + i]));
    own = max(own, key);
    if (key == 0u || key == INFINITE) { broken = 1.0; }
  }
  share(lane, vec3<f32>(f32(own >> 16u), f32(own & 0xffffu), broken));
  var top = 0u;
  for (var i = 0u; i < GROUP; i++) {
    top = max(top, (u32(lanes[i].x) << 16u) + u32(lanes[i].y));
    broken = max(broken, lanes[i].z);
  }
  let size = select(0x80000000u - top, top - 0x80000000u, top >= 0x80000000u);
  let largest = bitcast<f32>(select(0x80000000u | size, size, top >= 0x80000000u));

  var least = LEAST;
  if (params.k < params.count) { least = threshold(lane, start, least, largest, false, f32(params.k)); }
  if (params.p < 1.0) {
    var weights = 0.0;
    for (var i = lane; i < params.count; i += GROUP) {
      let v = f32(logits[start + i]);
      weights += select(0.0, exp(below(v, largest)), key_of(v) >= least);
    }
    let all = total(lane, vec3<f32>(weights)).x;
    least = threshold(lane, start, least, largest, true, params.p * all);
  }

  var best = vec3<f32>(0.0, -1.0, 0.0); // a score and its place
  for (var i = lane; i < params.count; i += GROUP) {
    let v = f32(logits[start + i]);
    if (key_of(v) < least) { continue; }
    let score = below(v, largest) + gumbel(row, i);
    if (best.y < 0.0 || score > best.x) { best = vec3<f32>(score, f32(i), 0.0); }
  }
  share(lane, best);
  if (lane != 0u) { return; }
  for (var i = 1u; i < GROUP; i++) {
    let other = lanes[i];
    if (other.y < 0.0) { continue; }
    if (best.y < 0.0 || other.x > best.x || (other.x == best.x && other.y < best.y)) { best = other; }
  }
  let none = best.y < 0.0 || broken != 0.0;
  out[row] = select(max(i32(best.y), 0), -1, params.mark != 0u && none);
}
