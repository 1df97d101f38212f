// y = x Wᵀ + bias, a block of 8 rows by 8 columns per invocation.
//
//            k ──►                   One step takes 4 numbers of 8 rows of x and of 8 rows of W (16 loads), and
//   x  ┌──────────┐  row 0..7        makes 256 multiply-adds of them. Rows of both are contiguous in k, so every
//      └──────────┘                  load is a vec4. There is no workgroup memory and no barrier: on software
//   W  ┌──────────┐  column 0..7     devices a barrier costs more than the loads that it would save.
//      └──────────┘
//
// Rows and columns past the end read the last one again, and are not written.

@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read> weight: array<V>;
@group(0) @binding(2) var<storage, read> bias: array<T>; // not read where HAS_BIAS is 0
@group(0) @binding(3) var<storage, read_write> out: array<T>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params { rows: u32, columns: u32, depth: u32, row_blocks: u32, column_blocks: u32 }

override HAS_BIAS: u32;
override WIDTH: u32; // elements in a V: 4, or 1 where the depth is no multiple of 4

// Four numbers of a row, from k on; zeros past its end.
fn x4(row: u32, k: u32) -> vec4<f32> {
  let at = min(row, params.rows - 1u) * params.depth + k;
  if (WIDTH == 4u) { return vec4<f32>(A(x[at / 4u])); }
  // Of a scalar, vec4 makes four copies.
  let v = vec4<f32>(vec4<f32>(A(x[at])).x, vec4<f32>(A(x[at + 1u])).x, vec4<f32>(A(x[at + 2u])).x, vec4<f32>(A(x[at + 3u])).x);
  return select(vec4<f32>(), v, k + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.depth));
}

fn w4(column: u32, k: u32) -> vec4<f32> {
  let at = min(column, params.columns - 1u) * params.depth + k;
  if (WIDTH == 4u) { return vec4<f32>(A(weight[at / 4u])); }
  let v = vec4<f32>(
    vec4<f32>(A(weight[at])).x,
    vec4<f32>(A(weight[at + 1u])).x,
    vec4<f32>(A(weight[at + 2u])).x,
    vec4<f32>(A(weight[at + 3u])).x,
  );
  return select(vec4<f32>(), v, k + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.depth));
}

// Four rows by four numbers: the columns of these matrices are rows of x and of W.
fn x_tile(row: u32, k: u32) -> mat4x4<f32> {
  return mat4x4<f32>(x4(row, k), x4(row + 1u, k), x4(row + 2u, k), x4(row + 3u, k));
}

// Transposed, so that (w_tile · x_tile)[r] holds four outputs of row r.
fn w_tile(column: u32, k: u32) -> mat4x4<f32> {
  return transpose(mat4x4<f32>(w4(column, k), w4(column + 1u, k), w4(column + 2u, k), w4(column + 3u, k)));
}

fn store(row: u32, column: u32, sums: vec4<f32>) {
  if (row >= params.rows) { return; }
  for (var c = 0u; c < 4u; c++) {
    if (column + c >= params.columns) { return; }
    var y = sums[c];
    if (HAS_BIAS != 0u) { y += f32(bias[column + c]); }
    out[row * params.columns + column + c] = T(y);
  }
}

fn store_tile(row: u32, column: u32, sums: mat4x4<f32>) {
  store(row, column, sums[0]);
  store(row + 1u, column, sums[1]);
  store(row + 2u, column, sums[2]);
  store(row + 3u, column, sums[3]);
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 8u;
  if (i >= params.row_blocks * params.column_blocks) { return; }
  let row = i / params.column_blocks * 8u;
  let column = i % params.column_blocks * 8u;
  var a = mat4x4<f32>(); // rows 0..3, columns 0..3
  var b = mat4x4<f32>(); // rows 0..3, columns 4..7
  var c = mat4x4<f32>(); // rows 4..7, columns 0..3
  var d = mat4x4<f32>(); // rows 4..7, columns 4..7
  for (var k = 0u; k < params.depth; k += 4u) {
    let upper = x_tile(row, k);
    let lower = x_tile(row + 4u, k);
    let left = w_tile(column, k);
    let right = w_tile(column + 4u, k);
    a += left * upper;
    b += right * upper;
    c += left * lower;
    d += right * lower;
  }
  store_tile(row, column, a);
  store_tile(row, column + 4u, b);
  store_tile(row + 4u, column, c);
  store_tile(row + 4u, column + 4u, d);
}
