// q, k and v of the same x. The rows of the three weights lie behind each other in one matrix:
//
//          ┌─ q ─┐      An invocation makes a block of 4 columns of one of the three, for up to 4 rows of x, so that
//   weight ├─ k ─┤      a weight is loaded once for 4 rows. Blocks never straddle two of them, whose sizes need be no
//          └─ v ─┘      multiples of 4. The block is written out: arrays that a loop indexes live in memory.

struct Params {
  rows: u32,
  steps: u32,         // loads in a row of x
  sizes: vec3<u32>,   // columns of q, k and v
  has_bias: u32,
  blocks: vec3<u32>,  // blocks of q, k and v
}

@group(0) @binding(0) var<storage, read> x: array<V>;         // [rows, steps]
@group(0) @binding(1) var<storage, read> weight: array<V>;    // [q + k + v, steps]
@group(0) @binding(2) var<storage, read> bias: array<T>;      // [q + k + v], not read where has_bias is 0
@group(0) @binding(3) var<storage, read_write> q: array<T>;   // [rows, sizes.x]
@group(0) @binding(4) var<storage, read_write> k: array<T>;   // [rows, sizes.y]
@group(0) @binding(5) var<storage, read_write> v: array<T>;   // [rows, sizes.z]
@group(0) @binding(6) var<uniform> params: Params;

struct Tile {
  part: u32,    // 0 q, 1 k, 2 v
  first: u32,   // the part's first row of the weight
  size: u32,    // the part's columns
  column: u32,  // the block's first column in the part
}

fn find_tile(index: u32) -> Tile {
  let s = params.sizes;
  let b = params.blocks;
  if (index < b.x) { return Tile(0u, 0u, s.x, index * 4u); }
  if (index < b.x + b.y) { return Tile(1u, s.x, s.y, (index - b.x) * 4u); }
  return Tile(2u, s.x + s.y, s.z, (index - b.x - b.y) * 4u);
}

fn store(tile: Tile, row: u32, sums: vec4<f32>) {
  if (row >= params.rows) { return; }
  for (var c = 0u; c < min(4u, tile.size - tile.column); c++) {
    let column = tile.column + c;
    var sum = sums[c];
    if (params.has_bias != 0u) { sum += f32(bias[tile.first + column]); }
    let at = row * tile.size + column;
    switch (tile.part) {
      case 0u: { q[at] = T(sum); }
      case 1u: { k[at] = T(sum); }
      default: { v[at] = T(sum); }
    }
  }
}

@compute @workgroup_size(16)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= params.blocks.x + params.blocks.y + params.blocks.z) { return; }
  let steps = params.steps;
  let tile = find_tile(id.x);
  // Past the end the last one is read again, and not written.
  let columns = tile.first + min(vec4<u32>(tile.column) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(tile.size - 1u));
  let w = columns * steps;
  let row = id.y * 4u;
  let r = min(vec4<u32>(row) + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(params.rows - 1u)) * steps;
  let several = params.rows - row > 1u;

  var s0 = vec4<f32>();
  var s1 = vec4<f32>();
  var s2 = vec4<f32>();
  var s3 = vec4<f32>();
  for (var i = 0u; i < steps; i++) {
    let m = mat4x4<f32>(
      vec4<f32>(weight[w.x + i]),
      vec4<f32>(weight[w.y + i]),
      vec4<f32>(weight[w.z + i]),
      vec4<f32>(weight[w.w + i]),
    );
    s0 += vec4<f32>(x[r.x + i]) * m; // a product with each of the 4 columns
    if (several) {
      s1 += vec4<f32>(x[r.y + i]) * m;
      s2 += vec4<f32>(x[r.z + i]) * m;
      s3 += vec4<f32>(x[r.w + i]) * m;
    }
  }
  store(tile, row, s0);
  store(tile, row + 1u, s1);
  store(tile, row + 2u, s2);
  store(tile, row + 3u, s3);
}
