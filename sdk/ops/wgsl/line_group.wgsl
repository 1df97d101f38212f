
// A line per workgroup, whose lanes take every GROUP-th step and then merge what they have: for lines that are few
// and long.

override GROUP: u32;
var<workgroup> lanes: Lanes; // GROUP states

// A tree down to eight, which every lane then merges by itself: a workgroup of eight passes one barrier.
fn across(lane: u32, own: S) -> S {
  lanes[lane] = own;
  workgroupBarrier();
  for (var half = GROUP / 2u; half >= 8u; half /= 2u) {
    if (lane < half) { lanes[lane] = merge(lanes[lane], lanes[lane + half]); }
    workgroupBarrier();
  }
  var all = lanes[0];
  for (var i = 1u; i < 8u; i++) { all = merge(all, lanes[i]); }
  return all;
}

@compute @workgroup_size(GROUP)
fn main(
  @builtin(workgroup_id) id: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let line = id.x + id.y * groups.x;
  if (line >= params.lines) { return; }
  let start = line / params.inner * params.steps * params.inner + line % params.inner;
  finish(line, start, lane, GROUP, across(lane, walk(start, lane, GROUP)));
}
