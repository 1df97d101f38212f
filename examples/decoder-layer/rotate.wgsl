// Norm, rotation and cache: one invocation for each head of q, k and v of a token. A pair is half a head apart, as the
// checkpoint has it, and so it stays: the cache must have the order of the original, which may have begun it.

struct Params {
  count: u32,      // heads of all tokens
  tokens: u32,
  heads: u32,
  key_heads: u32,
  pairs: u32,      // in a head
  places: u32,     // for tokens in keys and values
  eps: f32,
  factor: f32,     // of sine and cosine
  turns: Turns,    // for each pair, the high and low word of its turns per position, times 2⁶⁴
}

override HAS_NORM: u32;
override HAS_STARTS: u32;
override HAS_CACHE: u32;

@group(0) @binding(0) var<storage, read> qkv: array<T>;       // [row, token, head of q, k or v]
@group(0) @binding(1) var<storage, read> q_scale: array<T>;   // not read where HAS_NORM is 0
@group(0) @binding(2) var<storage, read> k_scale: array<T>;
@group(0) @binding(3) var<storage, read> position: array<i32>;
@group(0) @binding(4) var<storage, read> starts: array<i32>;    // not read where HAS_STARTS is 0
@group(0) @binding(5) var<storage, read_write> q: array<T>;      // [row, token, head]
@group(0) @binding(6) var<storage, read_write> keys: array<T>;   // [row, place, key head]
@group(0) @binding(7) var<storage, read_write> values: array<T>;
@group(0) @binding(8) var<uniform> params: Params;

// The upper 32 bits of a product.
fn multiply_high(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}

// (cos, sin) of a fraction of a turn, in units of 2⁻³². Polynomials on an eighth of a turn: a driver's own sine
// may be off by 1/2048.
fn rotation(turn: u32) -> vec2<f32> {
  let quarter = (turn + 0x20000000u) >> 30u; // the nearest one; 4 is 0 again, by overflow
  let angle = f32(bitcast<i32>(turn - (quarter << 30u))) * 1.4629180792671596e-9; // 2π / 2³², within ±π/4
  let z = angle * angle;
  let s = angle * (1.0 + z * (-0.16666667 + z * (0.0083333333 + z * (-0.00019841270 + z * 0.0000027557319))));
  let c = 1.0 + z * (-0.5 + z * (0.041666667 + z * (-0.0013888889 + z * 0.000024801587)));
  switch (quarter) {
    case 1u: { return vec2<f32>(-s, c); }
    case 2u: { return vec2<f32>(-c, -s); }
    case 3u: { return vec2<f32>(s, -c); }
    default: { return vec2<f32>(c, s); }
  }
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 8u;
  if (i >= params.count) { return; }
  let pairs = params.pairs;
  let heads = params.heads;
  let key_heads = params.key_heads;
  let slot = i % (heads + 2u * key_heads);
  let token = i / (heads + 2u * key_heads); // of all rows
  let row = token / params.tokens;
  let number = token % params.tokens;       // in its row
  let at = position[0] + i32(number);
  let start = i * pairs * 2u;

  // Where keys and values go. Tokens past the cache's end are dropped, and a negative place is past the end.
  let place = select(number, u32(at), HAS_CACHE != 0u);
  let head = (slot - heads) % key_heads; // read for k and v only
  let entry = ((row * params.places + place) * key_heads + head) * pairs * 2u;

  if (slot >= heads + key_heads) {
    if (place >= params.places) { return; }
    for (var d = 0u; d < pairs * 2u; d++) { values[entry + d] = qkv[start + d]; }
    return;
  }

  let is_q = slot < heads;
  if (!is_q && place >= params.places) { return; }
  var factor = 1.0;
  if (HAS_NORM != 0u) {
    var squares = vec2<f32>();
    for (var p = 0u; p < pairs; p++) {
      let v = vec2<f32>(f32(qkv[start + p]), f32(qkv[start + p + pairs]));
      squares += v * v;
    }
    factor = inverseSqrt((squares.x + squares.y) / f32(2u * pairs) + params.eps);
  }
  var moved = at;
  if (HAS_STARTS != 0u) { moved -= starts[row]; }
  let step = u32(max(moved, 0));
  for (var p = 0u; p < pairs; p++) {
    var v = vec2<f32>(f32(qkv[start + p]), f32(qkv[start + p + pairs])) * factor;
    if (HAS_NORM != 0u) {
      if (is_q) { v *= vec2<f32>(f32(q_scale[p]), f32(q_scale[p + pairs])); }
      else { v *= vec2<f32>(f32(k_scale[p]), f32(k_scale[p + pairs])); }
    }
    let words = params.turns[p / 2u];
    let turns = select(words.xy, words.zw, (p & 1u) == 1u);
    let r = rotation(step * turns.x + multiply_high(step, turns.y)) * params.factor;
    let a = T(v.x * r.x - v.y * r.y);
    let b = T(v.y * r.x + v.x * r.y);
    if (is_q) {
      let into = (token * heads + slot) * pairs * 2u + p;
      q[into] = a;
      q[into + pairs] = b;
    } else {
      keys[entry + p] = a;
      keys[entry + p + pairs] = b;
    }
  }
}
