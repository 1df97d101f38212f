/**
 * WGSL for attention where workgroup memory is dear: an invocation walks the keys for a few queries of one key head.
 *
 *     queries of a key head  │ t0 h0 │ t0 h1 │ t1 h0 │ t1 h1 │ …    the heads that share it, token by token
 *                            └─── a block of 2 ──┘                   keys and values are loaded once for a block
 *
 * The softmax is online (Milakov and Gimelshein, 2018): a larger score than the largest so far shrinks what was
 * summed up. No score is ever stored. In `split` form the keys are cut into chunks, one for an invocation, and
 * `attention_combine.wgsl` puts their results together.
 *
 * Written out, every number of a head a variable of its own: arrays that loops index take 1.5 to 2 times as long
 * here and six times as long to compile. Loads rule: on llvmpipe, 512 over 512 with 8 heads of 64, blocks of 1, 2
 * and 4 queries take 0.80, 0.42 and 0.26 of what one head per invocation with arrays took. Lanes with a key head each
 * take 0.75 to 0.97 of what lanes with a chunk each do: chunks often lie a power of two apart, and so in few lines of
 * the cache.
 *
 * What is loaded and stored once goes through a loop over the queries nevertheless: each load is a loop to the driver's
 * compiler, and with all of them written out it takes 1.8 times as long to compile for 4 queries, and 4.8 times for 8.
 */

/** What decides which keys a query sees, and what becomes of a score; what is off costs nothing. */
export interface AttentionKind {
  /** Whether queries see a number of keys before their own at most. */
  readonly windowed: boolean;
  /** Whether scores are capped. */
  readonly capped: boolean;
  /** Whether a mask hides keys. */
  readonly masked: boolean;
  /** Whether keys lie in a ring. */
  readonly ring: boolean;
}

/** What the code is written for. */
export interface AttentionShape {
  /** Queries of a block. */
  readonly queries: number;
  /** Loads of a head. */
  readonly steps: number;
  /** Whether the keys are cut into chunks. */
  readonly split: boolean;
  /** Which keys are seen. */
  readonly kind: AttentionKind;
}

/** The bindings and parameters that both families share. */
export function attentionHead(split: boolean, { windowed, capped, masked, ring }: AttentionKind): string {
  return `
@group(0) @binding(0) var<storage, read> q: array<V>;
@group(0) @binding(1) var<storage, read> k: array<V>;
@group(0) @binding(2) var<storage, read> v: array<V>;
@group(0) @binding(3) var<storage, read> position: array<i32>;
@group(0) @binding(4) var<storage, read> starts: array<i32>; // not read where has_starts is 0
${
    split
      ? `@group(0) @binding(5) var<storage, read_write> sums: array<A>; // for each query and chunk, a head
@group(0) @binding(6) var<storage, read_write> shares: array<vec2<f32>>; // the largest score and the sum of weights`
      : "@group(0) @binding(5) var<storage, read_write> out: array<V>;"
  }
@group(0) @binding(7) var<uniform> params: Params;
${masked ? "@group(0) @binding(8) var<storage, read> mask: array<M>; // 0 hides a key of a row" : ""}

// \`share\` is 1 where V is a vector, 1/4 where it is a scalar. A key head has \`blocks\` blocks of queries.
struct Params {
  rows: u32,
  tokens: u32,
  keys: u32,
  heads: u32,
  key_heads: u32,
  blocks: u32,
  chunks: u32,
  scale: f32,
  share: f32,
  has_starts: u32,
  before: i32, // keys before its own place that a query sees at most
  after: i32,
  softcap: f32,
  ring: i32, // how many slots
}

// The least finite f32. Nothing but −∞ is below it, and a score of that has no weight.
const LEAST = -3.4028234663852886e38;

// Of a scalar, vec4 makes four copies.
fn total(v: A) -> f32 { return dot(vec4<f32>(v), vec4<f32>(params.share)); }

// Where a query of a key head lies among all.
fn place(row: u32, key_head: u32, query: u32) -> u32 {
  let group = params.heads / params.key_heads;
  return (row * params.tokens + query / group) * params.heads + key_head * group + query % group;
}

// The place of a query, of its first key, and of the one behind its last: work depends on what is filled.
fn own_place(query: u32) -> i32 { return position[0] + i32(query / (params.heads / params.key_heads)); }
fn first_key(row: u32, query: u32) -> i32 {
  var first = 0;
  if (params.has_starts != 0u) { first = max(starts[row], 0); }
  return ${windowed ? "max(first, own_place(query) - params.before)" : "first"};
}
fn end_key(query: u32) -> i32 {
  return ${ring ? "" : "min(i32(params.keys), "}own_place(query) + params.after + 1${ring ? "" : ")"};
}
// The slots between which the keys of some queries lie.
fn slots_of(row: u32, from_query: u32, to_query: u32) -> vec2<i32> {
  return ${
    ring ? "vec2<i32>(0, i32(params.keys))" : "vec2<i32>(first_key(row, from_query), end_key(to_query))"
  };
}
// Whether a query whose keys are from place \`first\` up to \`end\` sees the key in slot j.
fn visible(row: u32, j: i32, first: i32, end: i32) -> bool {
${
    ring
      ? `  let last = position[0] + select(0, i32(params.tokens), params.ring == i32(params.keys)) - 1;
  // Negative where nothing has been written yet. Behind the ring are this run's keys.
  let in_ring = last - ((last - j) % params.ring + params.ring) % params.ring;
  let place = select(in_ring, position[0] + j - params.ring, j >= params.ring);`
      : "  let place = j;"
  }
  return ${windowed || ring ? "place >= first & " : ""}place < end${
    masked ? " & mask[row * params.keys + u32(j)] != M(0)" : ""
  };
}
${
    capped
      ? `// tanh of large numbers overflows in some drivers; NaN stays NaN.
fn capped(score: f32) -> f32 {
  let x = score / params.softcap;
  return params.softcap * select(tanh(clamp(x, -20.0, 20.0)), x, x != x);
}`
      : "fn capped(score: f32) -> f32 { return score; }"
  }

// The part of the keys from \`first\` up to \`end\` that belongs to a chunk.
fn chunk_of(first: i32, end: i32, chunk: u32) -> vec2<i32> {
  let length = (max(end - first, 0) + i32(params.chunks) - 1) / i32(params.chunks);
  let begin = first + i32(chunk) * length;
  return vec2<i32>(begin, min(begin + length, end));
}
`;
}

/** The code for a block. Queries past the end count as zeros, and are not written. */
export function attentionCode({ queries, steps, split, kind }: AttentionShape): string {
  const each = (line: (r: number) => string, between = "\n") => repeat(queries, line, between);
  const step = (line: (d: number) => string, between = "\n") => repeat(steps, line, between);
  // The query in hand, of those that have variables of their own.
  const chosen = (of: (r: number) => string) =>
    Array.from({ length: queries }, (_, r) => of(r)).reduce((all, one, r) =>
      `select(${all}, ${one}, r == ${r}u)`
    );
  const loop = queries === 1 ? "{\n    let r = 0u;" : "for (var r = 0u; r < count; r++) {";
  return `${attentionHead(split, kind)}
@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  var i = id.x + id.y * groups.x * 8u;
  if (i >= params.rows * params.blocks * params.key_heads * params.chunks) { return; }
  let key_head = i % params.key_heads; // first, so that lanes read neighbours
  i /= params.key_heads;
  let chunk = i % params.chunks;
  i /= params.chunks;
  let first = i % params.blocks * ${queries}u;
  let row = i / params.blocks;
  let last = params.tokens * (params.heads / params.key_heads) - 1u;
  let count = min(${queries}u, last + 1u - first);
  let slots = slots_of(row, first, min(first + ${queries - 1}u, last));
  let range = chunk_of(slots.x, slots.y, chunk);

${
    each((r) =>
      `  let first${r} = first_key(row, min(first + ${r}u, last));
  let end${r} = end_key(min(first + ${r}u, last));
  var largest${r} = LEAST;
  var weights${r} = 0.0;
${step((d) => `  var q${r}_${d} = A(); var s${r}_${d} = A();`)}`
    )
  }
  ${loop}
    let at = place(row, key_head, first + r) * ${steps}u;
${
    step((d) =>
      `    let q${d} = A(q[at + ${d}u]) * params.scale; ${
        each((r) => `q${r}_${d} = select(q${r}_${d}, q${d}, r == ${r}u);`, " ")
      }`
    )
  }
  }
  for (var j = range.x; j < range.y; j++) {
    let at = ((row * params.keys + u32(j)) * params.key_heads + key_head) * ${steps}u;
${each((r) => `    var p${r} = A();`)}
${
    step((d) =>
      `    let k${d} = A(k[at + ${d}u]); ${repeat(queries, (r) => `p${r} += q${r}_${d} * k${d};`, " ")}`
    )
  }
${
    each((r) =>
      `    let seen${r} = visible(row, j, first${r}, end${r});
    let score${r} = select(LEAST, capped(total(p${r})), seen${r});
    let now${r} = max(largest${r}, score${r});
    let shrink${r} = exp(largest${r} - now${r});
    let weight${r} = select(0.0, exp(score${r} - now${r}), seen${r});
    largest${r} = now${r};
    weights${r} = weights${r} * shrink${r} + weight${r};`
    )
  }
${
    step((d) =>
      `    let v${d} = A(v[at + ${d}u]); ${
        repeat(queries, (r) => `s${r}_${d} = s${r}_${d} * shrink${r} + weight${r} * v${d};`, " ")
      }`
    )
  }
  }
  ${loop}
    let query = place(row, key_head, first + r);
    let weight = ${chosen((r) => `weights${r}`)};
${
    split
      ? `    let to = query * params.chunks + chunk;
    shares[to] = vec2<f32>(${chosen((r) => `largest${r}`)}, weight);
${step((d) => `    sums[to * ${steps}u + ${d}u] = ${chosen((r) => `s${r}_${d}`)};`)}`
      : `    let factor = select(0.0, 1.0 / weight, weight > 0.0); // no key, no weight: zeros
${step((d) => `    out[query * ${steps}u + ${d}u] = V(${chosen((r) => `s${r}_${d}`)} * factor);`)}`
  }
  }
}
`;
}

// ---------------------------------------------------------------------------

function repeat(count: number, line: (i: number) => string, between = "\n"): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(between);
}
