// silu(gate(norm(x))) · up(norm(x)). Blocks of 4 columns for up to 4 rows, and the norm's factor pulled out of the sums,
// as in norm_project.wgsl.

struct Params {
  rows: u32,
  steps: u32,  // loads in a row of x
  inner: u32,  // columns, a multiple of 4
  eps: f32,
}

override SEVERAL: u32; // 0 where there is one row: the others cost nothing then

@group(0) @binding(0) var<storage, read> x: array<V>;         // [rows, steps]
@group(0) @binding(1) var<storage, read> scale: array<V>;     // [steps]
@group(0) @binding(2) var<storage, read> gate_up: array<V>;   // [2 · inner, steps]
@group(0) @binding(3) var<storage, read_write> out: array<V>; // [rows, inner]
@group(0) @binding(4) var<uniform> params: Params;

fn store(row: u32, quad: u32, gate_sum: vec4<f32>, up_sum: vec4<f32>, squares: f32) {
  if (row >= params.rows) { return; }
  let inv_rms = inverseSqrt(squares / f32(params.steps * 4u) + params.eps);
  let gate = gate_sum * inv_rms;
  out[row * (params.inner / 4u) + quad] = V(gate / (1.0 + exp(-gate)) * up_sum * inv_rms);
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let column = id.x * 4u;
  if (column >= params.inner) { return; }
  let steps = params.steps;
  let four = vec4<u32>(0u, 1u, 2u, 3u);
  let a = (column + four) * steps;
  let b = a + params.inner * steps;
  let r = min(four, vec4<u32>(params.rows - 1u)) * steps;

  var g0 = vec4<f32>();
  var g1 = vec4<f32>();
  var g2 = vec4<f32>();
  var g3 = vec4<f32>();
  var u0 = vec4<f32>();
  var u1 = vec4<f32>();
  var u2 = vec4<f32>();
  var u3 = vec4<f32>();
  var squares = vec4<f32>();
  for (var k = 0u; k < steps; k++) {
    let gate = mat4x4<f32>(
      vec4<f32>(gate_up[a.x + k]),
      vec4<f32>(gate_up[a.y + k]),
      vec4<f32>(gate_up[a.z + k]),
      vec4<f32>(gate_up[a.w + k]),
    );
    let up = mat4x4<f32>(
      vec4<f32>(gate_up[b.x + k]),
      vec4<f32>(gate_up[b.y + k]),
      vec4<f32>(gate_up[b.z + k]),
      vec4<f32>(gate_up[b.w + k]),
    );
    let by = vec4<f32>(scale[k]);
    let x0 = vec4<f32>(x[r.x + k]);
    squares.x += dot(x0, x0);
    g0 += (x0 * by) * gate;
    u0 += (x0 * by) * up;
    if (SEVERAL != 0u) {
      let x1 = vec4<f32>(x[r.y + k]);
      let x2 = vec4<f32>(x[r.z + k]);
      let x3 = vec4<f32>(x[r.w + k]);
      squares.y += dot(x1, x1);
      squares.z += dot(x2, x2);
      squares.w += dot(x3, x3);
      g1 += (x1 * by) * gate;
      g2 += (x2 * by) * gate;
      g3 += (x3 * by) * gate;
      u1 += (x1 * by) * up;
      u2 += (x2 * by) * up;
      u3 += (x3 * by) * up;
    }
  }
  store(0u, id.x, g0, u0, squares.x);
  store(1u, id.x, g1, u1, squares.y);
  store(2u, id.x, g2, u2, squares.z);
  store(3u, id.x, g3, u3, squares.w);
}
