// The product for real GPUs, of `matmul` and of `linear`: a workgroup of 16 by 16 makes a tile of 64 by 64 outputs,
// 4 by 4 to an invocation, and walks the depth in slices of 16 that it first brings into workgroup memory.
//
//                 slice of b, 16 × 64
//                ┌────────────────┐
//   slice of a   │                │    Every number that is loaded serves 64 outputs, and neighbours load
//   64 × 16 ┌──┐ ├────────────────┤    neighbours. Past an edge there are zeros; nothing is written there.
//           │  │ │  64 × 64       │
//           └──┘ └────────────────┘

@group(0) @binding(0) var<storage, read> a: array<T>;
@group(0) @binding(1) var<storage, read> b: array<T>;
@group(0) @binding(2) var<storage, read> bias: array<T>; // not read where has_bias is 0
@group(0) @binding(3) var<storage, read_write> out: array<O>;
@group(0) @binding(4) var<uniform> params: Params;

override TRANSPOSED: u32; // whether b is [columns, depth], as weights are

const SIDE = 64u;
const SLICE = 16u;

var<workgroup> slice_a: array<f32, 1024>; // [k][row]
var<workgroup> slice_b: array<f32, 1024>; // [k][column]

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) id: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = id.x + id.y * groups.x;
  let blocks = params.row_blocks * params.column_blocks;
  if (i >= params.matrices * blocks) { return; }
  let matrix = i / blocks;
  let row = i % blocks / params.column_blocks * SIDE;
  let column = i % params.column_blocks * SIDE;
  let start = starts_of(matrix);
  let x = lane % 16u;
  let y = lane / 16u;

  var sums = mat4x4<f32>(); // sums[r] holds the four outputs of row r
  for (var slice = params.first; slice < params.end; slice += SLICE) {
    for (var part = 0u; part < 4u; part++) {
      let r = part * 16u + y;
      let inside = row + r < params.rows && slice + x < params.end;
      var v = 0.0;
      if (inside) { v = f32(a[start.x + (row + r) * params.depth + slice + x]); }
      slice_a[x * SIDE + r] = v;

      // Neighbours in memory: along the depth where b is transposed, along the columns where it is not.
      var k = lane / SIDE + part * 4u;
      var c = lane % SIDE;
      if (TRANSPOSED != 0u) {
        k = x;
        c = r;
      }
      var w = 0.0;
      if (slice + k < params.end && column + c < params.columns) {
        let at = select(
          (slice + k) * params.columns + column + c,
          (column + c) * params.depth + slice + k,
          TRANSPOSED != 0u,
        );
        w = f32(b[start.y + at]);
      }
      slice_b[k * SIDE + c] = w;
    }
    workgroupBarrier();
    for (var k = 0u; k < SLICE; k++) {
      let at = k * SIDE + 4u * x;
      let right = vec4<f32>(slice_b[at], slice_b[at + 1u], slice_b[at + 2u], slice_b[at + 3u]);
      let left = k * SIDE + 4u * y;
      sums[0] += slice_a[left] * right;
      sums[1] += slice_a[left + 1u] * right;
      sums[2] += slice_a[left + 2u] * right;
      sums[3] += slice_a[left + 3u] * right;
    }
    workgroupBarrier();
  }
  for (var r = 0u; r < 4u; r++) {
    for (var c = 0u; c < 4u; c++) {
      let to = vec2<u32>(row + 4u * y + r, column + 4u * x + c);
      if (to.x >= params.rows || to.y >= params.columns) { continue; }
      var sum = sums[r][c];
      let at = (matrix * params.rows + to.x) * params.columns + to.y;
      if (params.first != 0u) { sum += f32(out[at]); }
      if (params.has_bias != 0u) { sum += f32(bias[to.y]); }
      out[at] = O(sum);
    }
  }
}
