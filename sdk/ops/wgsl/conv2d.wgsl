// One output to an invocation: out[b, o, y, x] = bias[o] + Σ input[b, c, y·stride + i·dilation − pad, …] · weight[o, c, i, j]
// over the channels c of o's group. What lies outside of the input is 0.

@group(0) @binding(0) var<storage, read> input: array<T>;
@group(0) @binding(1) var<storage, read> weight: array<T>;
@group(0) @binding(2) var<storage, read> bias: array<T>; // not read where has_bias is 0
@group(0) @binding(3) var<storage, read_write> out: array<T>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
  count: u32,
  has_bias: u32,
  channels: vec2<u32>, // of the input in a group, and of the output in a group
  groups: u32,
  input: vec2<u32>, // rows and columns
  output: vec2<u32>,
  kernel: vec2<u32>,
  stride: vec2<u32>,
  padding: vec2<u32>,
  dilation: vec2<u32>,
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let at = id.x + id.y * groups.x * 64u;
  if (at >= params.count) { return; }
  let x = at % params.output.y;
  let y = at / params.output.y % params.output.x;
  let plane = at / (params.output.x * params.output.y); // row of the batch and channel of the output
  let o = plane % (params.groups * params.channels.y);
  let b = plane / (params.groups * params.channels.y);
  let first = o / params.channels.y * params.channels.x; // the group's first channel of the input
  var sum = 0.0;
  if (params.has_bias != 0u) { sum = f32(bias[o]); }
  for (var c = 0u; c < params.channels.x; c++) {
    let from_plane = ((b * params.groups * params.channels.x) + first + c) * params.input.x;
    let from_weight = (o * params.channels.x + c) * params.kernel.x;
    for (var i = 0u; i < params.kernel.x; i++) {
      let row = y * params.stride.x + i * params.dilation.x - params.padding.x; // below 0 it is very large
      if (row >= params.input.x) { continue; }
      for (var j = 0u; j < params.kernel.y; j++) {
        let column = x * params.stride.y + j * params.dilation.y - params.padding.y;
        if (column >= params.input.y) { continue; }
        sum += f32(input[(from_plane + row) * params.input.y + column]) *
          f32(weight[(from_weight + i) * params.kernel.y + j]);
      }
    }
  }
  out[at] = T(sum);
}
