
// A line per invocation: no barrier, for lines that are many or short.

override SIDE_BY_SIDE: u32;

@compute @workgroup_size(SIDE_BY_SIDE)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let line = id.x + id.y * groups.x * SIDE_BY_SIDE;
  if (line >= params.lines) { return; }
  let start = line / params.inner * params.steps * params.inner + line % params.inner;
  finish(line, start, 0u, 1u, walk(start, 0u, 1u));
}
