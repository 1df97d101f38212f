// The k largest of long lines, a workgroup to each: looks for the k-th largest bit by bit, in 32 counts of the line.
// Where several are equal to it, the first ones stay: each lane has a run of neighbours, and counts what is before it.

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> out: array<T>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params { lines: u32, count: u32, k: u32, normalize: u32 }

const LANES = 256u;
var<workgroup> counts: array<u32, LANES>;
var<workgroup> sums: array<f32, LANES>;
var<workgroup> total: u32;

// Larger numbers have larger keys, both zeros have one, and NaN has the largest: told by its bits, since drivers may
// assume that there is none.
fn key_of(v: f32) -> u32 {
  let bits = bitcast<u32>(v);
  let size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) { return 0xffffffffu; }
  return select(0x80000000u + size, 0x80000000u - size, bits > size);
}

// The sum of what the lanes have, in all of them.
fn across(lane: u32, own: u32) -> u32 {
  counts[lane] = own;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) { counts[lane] += counts[lane + half]; }
    workgroupBarrier();
  }
  if (lane == 0u) { total = counts[0]; }
  return workgroupUniformLoad(&total);
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) id: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let line = id.x + id.y * groups.x;
  if (line >= params.lines) { return; }
  let start = line * params.count;
  let run = (params.count + LANES - 1u) / LANES;
  let first = start + min(params.count, lane * run);
  let end = start + min(params.count, (lane + 1u) * run);

  var least = 0u; // the key of the k-th largest
  for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
    var own = 0u;
    for (var i = first; i < end; i++) { own += select(0u, 1u, key_of(f32(x[i])) >= (least | bit)); }
    if (across(lane, own) >= params.k) { least |= bit; }
  }

  var larger = 0u;
  var equal = 0u;
  for (var i = first; i < end; i++) {
    let key = key_of(f32(x[i]));
    larger += select(0u, 1u, key > least);
    equal += select(0u, 1u, key == least);
  }
  let room = params.k - across(lane, larger); // for those that equal it
  counts[lane] = equal;
  workgroupBarrier();
  var before = 0u;
  for (var i = 0u; i < lane; i++) { before += counts[i]; }

  var sum = 0.0;
  for (var i = first; i < end; i++) {
    let v = f32(x[i]);
    let key = key_of(v);
    var kept = select(0.0, v, key > least);
    if (key == least) {
      if (before < room) { kept = v; }
      before++;
    }
    sum += kept;
    out[i] = T(kept);
  }
  sums[lane] = sum;
  workgroupBarrier();
  if (params.normalize == 0u) { return; }
  sum = 0.0;
  for (var i = 0u; i < LANES; i++) { sum += sums[i]; }
  if (sum == 0.0) { return; }
  for (var i = first; i < end; i++) { out[i] = T(f32(out[i]) / sum); }
}
