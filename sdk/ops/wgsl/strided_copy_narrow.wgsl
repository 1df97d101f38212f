// Copies elements of 2 or 1 bytes, several of which share a 32-bit word.
//
// One invocation fills one word of a run (the innermost dimension, contiguous in the target):
//
//     words of the target   │ . a │ b c │ d . │       a run of 4 that begins in the middle of a word
//                             edge  whole edge
//
// A whole word is stored. At an edge the other half may belong to the invocation of another run, so only the
// run's own bits are cleared and set, atomically. Bits are moved, never numbers: a NaN stays the NaN it was.

@group(0) @binding(0) var<storage, read> source: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<atomic<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

// Counts, offsets and strides in elements. A run of `length` elements touches at most `words` words.
struct Params {
  runs: u32,
  length: u32,
  words: u32,
  step: u32,
  rank: u32,
  source_offset: u32,
  target_offset: u32,
  shape: array<vec4<u32>, 2>,
  source_strides: array<vec4<u32>, 2>,
  target_strides: array<vec4<u32>, 2>,
}

override BYTES: u32; // of an element

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let i = id.x + id.y * groups.x * 64u;
  if (i >= params.runs * params.words) { return; }
  var rest = i / params.words;
  var from_ = params.source_offset;
  var to = params.target_offset;
  for (var d = params.rank; d > 0u; d--) {
    let e = d - 1u;
    let size = params.shape[e / 4u][e % 4u];
    from_ += rest % size * params.source_strides[e / 4u][e % 4u];
    to += rest % size * params.target_strides[e / 4u][e % 4u];
    rest /= size;
  }

  let per_word = 4u / BYTES;
  let ones = (1u << (8u * BYTES)) - 1u;
  let word = to / per_word + i % params.words;
  // Places in the target that both this word and the run cover.
  let first = max(word * per_word, to);
  let end = min((word + 1u) * per_word, to + params.length);
  var bits = 0u;
  var mask = 0u;
  for (var place = first; place < end; place++) {
    let at = from_ + (place - to) * params.step;
    let element = (source[at / per_word] >> (at % per_word * 8u * BYTES)) & ones;
    let shift = place % per_word * 8u * BYTES;
    bits |= element << shift;
    mask |= ones << shift;
  }
  if (mask == 0xffffffffu) {
    atomicStore(&out[word], bits);
  } else if (mask != 0u) {
    atomicAnd(&out[word], ~mask);
    atomicOr(&out[word], bits);
  }
}
