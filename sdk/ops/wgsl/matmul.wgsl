// out = a · b for each matrix of a batch, a block of 4 rows by 4 columns per invocation.
// Rows and columns past the end read the last one again, and are not written.

@group(0) @binding(0) var<storage, read> a: array<T>;
@group(0) @binding(1) var<storage, read> b: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<T>;
@group(0) @binding(3) var<uniform> params: Params;

// Batch dimensions, with the strides of a and b in elements (0 where one is stretched).
struct Params {
  rows: u32,
  columns: u32,
  depth: u32,
  row_blocks: u32,
  column_blocks: u32,
  matrices: u32,
  rank: u32,
  shape: array<vec4<u32>, 2>,
  a: array<vec4<u32>, 2>,
  b: array<vec4<u32>, 2>,
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  let blocks = params.row_blocks * params.column_blocks;
  if (i >= params.matrices * blocks) { return; }
  let matrix = i / blocks;
  let row = i % blocks / params.column_blocks * 4u;
  let column = i % params.column_blocks * 4u;

  var rest = matrix;
  var start = vec2<u32>();
  for (var d = params.rank; d > 0u; d--) {
    let e = d - 1u;
    let size = params.shape[e / 4u][e % 4u];
    start += (rest % size) * vec2<u32>(params.a[e / 4u][e % 4u], params.b[e / 4u][e % 4u]);
    rest /= size;
  }

  let rows = min(vec4<u32>(row) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.rows - 1u)) * params.depth + start.x;
  let columns = min(vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.columns - 1u)) + start.y;
  var sums = mat4x4<f32>(); // sums[r] holds the four outputs of row r
  for (var k = 0u; k < params.depth; k++) {
    let at = columns + k * params.columns;
    let right = vec4<f32>(f32(b[at.x]), f32(b[at.y]), f32(b[at.z]), f32(b[at.w]));
    sums[0] += f32(a[rows.x + k]) * right;
    sums[1] += f32(a[rows.y + k]) * right;
    sums[2] += f32(a[rows.z + k]) * right;
    sums[3] += f32(a[rows.w + k]) * right;
  }
  for (var r = 0u; r < 4u; r++) {
    for (var c = 0u; c < 4u; c++) {
      if (row + r < params.rows && column + c < params.columns) {
        out[(matrix * params.rows + row + r) * params.columns + column + c] = T(sums[r][c]);
      }
    }
  }
}
