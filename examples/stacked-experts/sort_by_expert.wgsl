// Sorts the choices of all rows by expert, in the order of the rows. One invocation for each expert, without a barrier: it
// counts the choices that go before its own, and then lists its own.
//
//   chosen  2 0 │ 0 1 │ 2 0        order   1 2 5 │ 3 │ 0 4
//                                  starts  0     3   4     6

struct Params {
  cells: u32,    // rows · top_k
  experts: u32,
}

@group(0) @binding(0) var<storage, read> chosen: array<u32>;       // [cells]
@group(0) @binding(1) var<storage, read_write> order: array<u32>;  // [cells], the numbers of the cells by expert
@group(0) @binding(2) var<storage, read_write> starts: array<u32>; // [experts + 1], where each expert's begin
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let expert = id.x;
  if (expert >= params.experts) { return; }
  var at = 0u;
  for (var i = 0u; i < params.cells; i++) { at += select(0u, 1u, chosen[i] < expert); }
  starts[expert] = at;
  for (var i = 0u; i < params.cells; i++) {
    if (chosen[i] == expert) {
      order[at] = i;
      at++;
    }
  }
  if (expert == params.experts - 1u) { starts[params.experts] = at; }
}
