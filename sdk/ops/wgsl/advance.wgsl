@group(0) @binding(0) var<storage, read_write> position: array<i32>;
@group(0) @binding(1) var<uniform> by: i32;

@compute @workgroup_size(1)
fn main() {
  position[0] += by;
}
