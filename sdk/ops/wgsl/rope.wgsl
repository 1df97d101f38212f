// Rotates pairs of a head's numbers by an angle that grows with the token's position.
//
// Angles are kept as fractions of a turn in 64-bit fixed point, which multiply exactly: in f32, position 4000
// times a frequency would already be wrong in the fourth decimal. Sine and cosine are polynomials on an eighth
// of a turn, since drivers may be off by 1/2048.

@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read> position: array<i32>;
@group(0) @binding(2) var<storage, read> starts: array<i32>; // not read where HAS_STARTS is 0
@group(0) @binding(3) var<storage, read_write> out: array<T>;
@group(0) @binding(4) var<uniform> params: Params;

// `turns` has, for each pair, the high and low word of its frequency in turns per position, times 2⁶⁴.
struct Params { count: u32, tokens: u32, heads: u32, pairs: u32, turns: Turns }

override HAS_STARTS: u32;
override INTERLEAVED: u32;

// The upper 32 bits of a product.
fn multiply_high(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let middle = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let other = (a & 0xffffu) * (b >> 16u) + (middle & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (middle >> 16u) + (other >> 16u);
}

// (cos, sin) of a fraction of a turn, in units of 2⁻³².
fn rotation(turn: u32) -> vec2<f32> {
  let quarter = (turn + 0x20000000u) >> 30u; // the nearest one; 4 is 0 again, by overflow
  let angle = f32(bitcast<i32>(turn - (quarter << 30u))) * 1.4629180792671596e-9; // 2π / 2³², within ±π/4
  let q = angle * angle;
  let s = angle * (1.0 + q * (-0.16666667 + q * (0.0083333333 + q * (-0.00019841270 + q * 0.0000027557319))));
  let c = 1.0 + q * (-0.5 + q * (0.041666667 + q * (-0.0013888889 + q * 0.000024801587)));
  switch (quarter) {
    case 1u: { return vec2<f32>(-s, c); }
    case 2u: { return vec2<f32>(-c, -s); }
    case 3u: { return vec2<f32>(s, -c); }
    default: { return vec2<f32>(c, s); }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u; // a pair of a head of a token of a row
  if (i >= params.count) { return; }
  let pair = i % params.pairs;
  let head = i / params.pairs;
  let token = head / params.heads % params.tokens;
  var at = position[0] + i32(token);
  if (HAS_STARTS != 0u) { at -= starts[head / params.heads / params.tokens]; }
  let place = u32(max(at, 0));

  let entry = params.turns[pair / 2u];
  let frequency = select(entry.xy, entry.zw, (pair & 1u) == 1u);
  let r = rotation(place * frequency.x + multiply_high(place, frequency.y));

  let first = head * params.pairs * 2u + select(pair, 2u * pair, INTERLEAVED != 0u);
  let second = first + select(params.pairs, 1u, INTERLEAVED != 0u);
  let a = f32(x[first]);
  let b = f32(x[second]);
  out[first] = T(a * r.x - b * r.y);
  out[second] = T(b * r.x + a * r.y);
}
