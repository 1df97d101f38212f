// x · Wᵀ + bias + residual: a projection back to the residual stream, and the addition that follows it.

struct Params {
  rows: u32,
  steps: u32,    // loads in a row of x
  columns: u32,
  has_bias: u32,
}

override SEVERAL: u32; // 0 where there is one row: the others cost nothing then

@group(0) @binding(0) var<storage, read> x: array<V>;         // [rows, steps]
@group(0) @binding(1) var<storage, read> weight: array<V>;    // [columns, steps]
@group(0) @binding(2) var<storage, read> bias: array<T>;      // [columns], not read where has_bias is 0
@group(0) @binding(3) var<storage, read> residual: array<T>;  // [rows, columns]
@group(0) @binding(4) var<storage, read_write> out: array<T>; // [rows, columns]
@group(0) @binding(5) var<uniform> params: Params;

fn store(row: u32, column: u32, sums: vec4<f32>) {
  if (row >= params.rows) { return; }
  for (var c = 0u; c < min(4u, params.columns - column); c++) {
    let at = row * params.columns + column + c;
    var sum = sums[c] + f32(residual[at]);
    if (params.has_bias != 0u) { sum += f32(bias[column + c]); }
    out[at] = T(sum);
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
  for (var k = 0u; k < steps; k++) {
    let m = mat4x4<f32>(
      vec4<f32>(weight[w.x + k]),
      vec4<f32>(weight[w.y + k]),
      vec4<f32>(weight[w.z + k]),
      vec4<f32>(weight[w.w + k]),
    );
    s0 += vec4<f32>(x[r.x + k]) * m; // a product with each of the 4 columns
    if (SEVERAL != 0u) {
      s1 += vec4<f32>(x[r.y + k]) * m;
      s2 += vec4<f32>(x[r.z + k]) * m;
      s3 += vec4<f32>(x[r.w + k]) * m;
    }
  }
  store(0u, column, s0);
  store(1u, column, s1);
  store(2u, column, s2);
  store(3u, column, s3);
}
