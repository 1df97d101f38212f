// RMSNorm, both projections, SiLU and the product. Each invocation makes one column of ROWS rows, so that a weight
// is loaded once for all of them; the norm's factor is pulled out of the sum:
//   Σ_k w[k] · x[k] · scale[k] / rms  =  (Σ_k w[k] · x[k] · scale[k]) / rms
// so the sum of squares is gathered in the same walk over k, without a barrier.

const ROWS = 4u;

struct Params {
  rows: u32,
  hidden: u32,
  inner: u32,
  eps: f32,
}

@group(0) @binding(0) var<storage, read> x: array<T>;        // [rows, hidden]
@group(0) @binding(1) var<storage, read> scale: array<T>;    // [hidden]
@group(0) @binding(2) var<storage, read> gate_up: array<T>;  // [2 * inner, hidden]
@group(0) @binding(3) var<storage, read_write> out: array<T>; // [rows, inner]
@group(0) @binding(4) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.x;
  if (column >= params.inner) { return; }
  let hidden = params.hidden;
  let first = id.y * ROWS;
  let rows = min(ROWS, params.rows - first);
  let gate_row = column * hidden;
  let up_row = (params.inner + column) * hidden;

  var squares = array<f32, ROWS>();
  var gate = array<f32, ROWS>();
  var up = array<f32, ROWS>();
  for (var k = 0u; k < hidden; k++) {
    let s = f32(scale[k]);
    let g = f32(gate_up[gate_row + k]) * s;
    let u = f32(gate_up[up_row + k]) * s;
    for (var r = 0u; r < rows; r++) {
      let value = f32(x[(first + r) * hidden + k]);
      squares[r] += value * value;
      gate[r] += g * value;
      up[r] += u * value;
    }
  }
  for (var r = 0u; r < rows; r++) {
    let inv_rms = inverseSqrt(squares[r] / f32(hidden) + params.eps);
    let g = gate[r] * inv_rms;
    out[(first + r) * params.inner + column] = T(g / (1.0 + exp(-g)) * up[r] * inv_rms);
  }
}
