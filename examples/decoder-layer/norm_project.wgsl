// norm(x) · Wᵀ + bias. An invocation makes a block of 4 columns for up to 4 rows, so that a weight is loaded once for 4
// rows. The norm's factor is pulled out of the sum, and its squares are gathered in the same walk, without a barrier:
//   Σ_k w[k] · x[k] · scale[k] / rms  =  (Σ_k w[k] · x[k] · scale[k]) / rms
// The block is written out: arrays that a loop indexes live in memory.

struct Params {
  rows: u32,
  steps: u32,    // loads in a row of x
  columns: u32,
  has_bias: u32,
  eps: f32,
}

override SEVERAL: u32; // 0 where there is one row: the others cost nothing then

@group(0) @binding(0) var<storage, read> x: array<V>;         // [rows, steps]
@group(0) @binding(1) var<storage, read> scale: array<V>;     // [steps]
@group(0) @binding(2) var<storage, read> weight: array<V>;    // [columns, steps]
@group(0) @binding(3) var<storage, read> bias: array<T>;      // [columns], not read where has_bias is 0
@group(0) @binding(4) var<storage, read_write> out: array<T>; // [rows, columns]
@group(0) @binding(5) var<uniform> params: Params;

fn store(row: u32, column: u32, sums: vec4<f32>, squares: f32) {
  if (row >= params.rows) { return; }
  let inv_rms = inverseSqrt(squares / f32(params.steps * 4u) + params.eps);
  for (var c = 0u; c < min(4u, params.columns - column); c++) {
    var sum = sums[c] * inv_rms;
    if (params.has_bias != 0u) { sum += f32(bias[column + c]); }
    out[row * params.columns + column + c] = T(sum);
  }
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let column = id.x * 4u;
  if (column >= params.columns) { return; }
  let steps = params.steps;
  // Past the end the last one is read again, and not written.
  let four = vec4<u32>(0u, 1u, 2u, 3u);
  let w = min(column + four, vec4<u32>(params.columns - 1u)) * steps;
  let r = min(four, vec4<u32>(params.rows - 1u)) * steps;

  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  var squares = vec4<f32>();
  for (var k = 0u; k < steps; k++) {
    let m = mat4x4<f32>(
      vec4<f32>(weight[w.x + k]),
      vec4<f32>(weight[w.y + k]),
      vec4<f32>(weight[w.z + k]),
      vec4<f32>(weight[w.w + k]),
    );
    let by = vec4<f32>(scale[k]);
    let x0 = vec4<f32>(x[r.x + k]);
    squares.x += dot(x0, x0);
    s0 += (x0 * by) * m; // a product with each of the 4 columns
    if (SEVERAL != 0u) {
      let x1 = vec4<f32>(x[r.y + k]);
      let x2 = vec4<f32>(x[r.z + k]);
      let x3 = vec4<f32>(x[r.w + k]);
      squares.y += dot(x1, x1);
      squares.z += dot(x2, x2);
      squares.w += dot(x3, x3);
      s1 += (x1 * by) * m;
      s2 += (x2 * by) * m;
      s3 += (x3 * by) * m;
    }
  }
  store(0u, column, s0, squares.x);
  store(1u, column, s1, squares.y);
  store(2u, column, s2, squares.z);
  store(3u, column, s3, squares.w);
}
