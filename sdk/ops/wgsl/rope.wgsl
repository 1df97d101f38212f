// Rotates pairs of a head's numbers by an angle that grows with the token's position.
//
// An invocation takes one pair, or four, of a token, and rotates it in `each` heads: they all turn by the same angle.
//
// Angles are kept as fractions of a turn in 64-bit fixed point, which multiply exactly: in f32, position 4000
// times a frequency would already be wrong in the fourth decimal. Sine and cosine are polynomials on an eighth
// of a turn, since drivers may be off by 1/2048.

@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> position: array<i32>;
@group(0) @binding(2) var<storage, read> starts: array<i32>; // not read where HAS_STARTS is 0
@group(0) @binding(3) var<storage, read_write> out: array<V>;
@group(0) @binding(4) var<uniform> params: Params;

// A head has twice `parts` loads that turn, and `tail` that stay. For four pairs at a time, `turns` has the high words
// of their frequencies in turns per position times 2⁶⁴, and then the low words.
struct Params {
  count: u32,
  tokens: u32,
  heads: u32,
  parts: u32,
  tail: u32,
  chunks: u32,
  each: u32,
  factor: f32, // of sine and cosine
  turns: Turns,
}

override SIDE_BY_SIDE: u32;
override HAS_STARTS: u32;
override INTERLEAVED: u32;

// The upper 32 bits of a product.
fn multiply_high(a: u32, b: U) -> U {
  let low = (a & 0xffffu) * (b & U(0xffffu));
  let middle = (a >> 16u) * (b & U(0xffffu)) + (low >> U(16u));
  let other = (a & 0xffffu) * (b >> U(16u)) + (middle & U(0xffffu));
  return (a >> 16u) * (b >> U(16u)) + (middle >> U(16u)) + (other >> U(16u));
}

struct Rotation { cos: A, sin: A }

// Of a fraction of a turn, in units of 2⁻³².
fn rotation(turn: U) -> Rotation {
  let quarter = (turn + U(0x20000000u)) >> U(30u); // the nearest one; 4 is 0 again, by overflow
  let angle = A(bitcast<I>(turn - (quarter << U(30u)))) * 1.4629180792671596e-9; // 2π / 2³², within ±π/4
  let q = angle * angle;
  let s = angle * (1.0 + q * (-0.16666667 + q * (0.0083333333 + q * (-0.00019841270 + q * 0.0000027557319))));
  let c = 1.0 + q * (-0.5 + q * (0.041666667 + q * (-0.0013888889 + q * 0.000024801587)));
  let odd = (quarter & U(1u)) == U(1u);
  let cos = select(c, s, odd);
  let sin = select(s, c, odd);
  // Quarters 1 and 2 have a cosine below zero, 2 and 3 a sine.
  return Rotation(
    select(cos, -cos, ((quarter + U(1u)) & U(2u)) == U(2u)),
    select(sin, -sin, quarter >= U(2u)),
  );
}

@compute @workgroup_size(SIDE_BY_SIDE)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * SIDE_BY_SIDE; // a part of a chunk of heads of a token of a row
  if (i >= params.count) { return; }
  let width = params.parts + params.tail;
  let part = i % width;
  let first = i / width % params.chunks * params.each;
  let token = i / width / params.chunks;
  let step = 2u * params.parts + params.tail;
  let heads = min(params.each, params.heads - first);
  if (part >= params.parts) {
    let tail = (token * params.heads + first) * step + params.parts + part;
    for (var h = 0u; h < heads; h++) { out[tail + h * step] = x[tail + h * step]; }
    return;
  }
  var at = position[0] + i32(token % params.tokens);
  if (HAS_STARTS != 0u) { at -= starts[token / params.tokens]; }
  let place = u32(max(at, 0));
  let turned = rotation(place * turns_of(part, 0u) + multiply_high(place, turns_of(part, 1u)));
  let r = Rotation(turned.cos * params.factor, turned.sin * params.factor);

  let gap = select(params.parts, 1u, INTERLEAVED != 0u);
  let start = (token * params.heads + first) * step + select(part, 2u * part, INTERLEAVED != 0u);
  for (var h = 0u; h < heads; h++) {
    let p = start + h * step;
    let a = A(x[p]);
    let b = A(x[p + gap]);
    out[p] = V(a * r.cos - b * r.sin);
    out[p + gap] = V(b * r.cos + a * r.sin);
  }
}
