// out[i] = a[…] OP b[…]; a dimension in which an operand has size 1 has the stride 0 there.

override OP: u32;

@group(0) @binding(0) var<storage, read> a: array<T>;
@group(0) @binding(1) var<storage, read> b: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<T>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
  count: u32,
  rank: u32,
  shape: array<vec4<u32>, 2>,
  a: array<vec4<u32>, 2>,
  b: array<vec4<u32>, 2>,
}

fn apply(l: f32, r: f32) -> f32 {
  switch (OP) {
    case 0u: { return l + r; }
    case 1u: { return l - r; }
    case 2u: { return l * r; }
    default: { return l / r; }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= params.count) { return; }
  var rest = i;
  var at = vec2<u32>();
  for (var d = params.rank; d > 1u; d--) {
    let e = d - 1u;
    let size = params.shape[e / 4u][e % 4u];
    at += (rest % size) * vec2<u32>(params.a[e / 4u][e % 4u], params.b[e / 4u][e % 4u]);
    rest /= size;
  }
  at += rest * vec2<u32>(params.a[0].x, params.b[0].x); // the outermost needs no division
  out[i] = T(apply(f32(a[at.x]), f32(b[at.y])));
}
