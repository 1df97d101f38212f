/**
 * Attention over a filled cache, softmax online, a head in registers. An invocation takes a block of queries that share
 * their keys' loads; where there are few, the keys are cut into chunks, which a second dispatch puts together.
 */
import { numbers } from "../data.ts";
import type { Params, Prepared } from "../protocol.ts";
import { type Candidate, fastest, type RawGpu } from "./gpu.ts";

/** The fastest block, number of chunks and workgroup size. */
export async function prepareAttention(gpu: RawGpu, params: Params): Promise<Prepared> {
  const [tokens, keys, heads, keyHeads, size] = ["tokens", "keys", "heads", "keyHeads", "size"].map((n) =>
    Number(params[n])
  );
  const q = gpu.buffer(numbers(tokens * heads * size, 1));
  const k = gpu.buffer(numbers(keys * keyHeads * size, 2));
  const v = gpu.buffer(numbers(keys * keyHeads * size, 3));
  const out = gpu.buffer(tokens * heads * size * 4);
  const group = heads / keyHeads;
  const candidate = (block: number, chunks: number, lanes: number): Candidate => ({
    name: `${block} queries, ${chunks} chunks, ${lanes} to a workgroup`,
    make: () => {
      const shape = { tokens, keys, heads, keyHeads, size, block, chunks, lanes };
      const count = Math.ceil(tokens * group / block) * keyHeads * chunks;
      const walk = gpu.pipeline(walkCode(shape));
      if (chunks === 1) return [gpu.step(walk, [q, k, v, out], Math.ceil(count / lanes))];
      const sums = gpu.buffer(tokens * heads * chunks * size * 4);
      const shares = gpu.buffer(tokens * heads * chunks * 8);
      const join = gpu.pipeline(joinCode(shape));
      return [
        gpu.step(walk, [q, k, v, sums, shares], Math.ceil(count / lanes)),
        gpu.step(join, [sums, shares, out], Math.ceil(tokens * heads * size / 4 / lanes)),
      ];
    },
  });
  const blocks = [1, 2, 4, 8].filter((n) => n <= tokens * group && n * size <= 512);
  const chunks = tokens === 1 ? [1, 2, 4, 8, 16].filter((n) => keys / n >= 32) : [1];
  const steps = await fastest(
    gpu,
    out,
    blocks.flatMap((b) => chunks.flatMap((c) => [4, 8, 16].map((lanes) => candidate(b, c, lanes)))),
  );
  return {
    call: () => gpu.record(steps),
    wait: () => gpu.wait(out),
    values: (at) => gpu.values(out, "f32", at),
    drop: () => gpu.drop(),
  };
}

// ---------------------------------------------------------------------------

interface Shape {
  readonly tokens: number;
  readonly keys: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly size: number;
  /** Queries of an invocation: the heads that share a key head, token by token. */
  readonly block: number;
  readonly chunks: number;
  readonly lanes: number;
}

function walkCode({ tokens, keys, heads, keyHeads, size, block, chunks, lanes }: Shape): string {
  const steps = size / 4;
  const group = heads / keyHeads;
  const queries = tokens * group;
  const blocks = Math.ceil(queries / block);
  const chunk = Math.ceil(keys / chunks);
  const each = (line: (r: number) => string, between = "\n") => repeat(block, line, between);
  const step = (line: (d: number) => string) => repeat(steps, line);
  const chosen = (name: string, d: string) =>
    Array.from({ length: block }, (_, r) => `${name}${r}${d}`).reduce((all, one, r) =>
      `select(${all}, ${one}, r == ${r}u)`
    );
  // In a loop, since loads that are written out compile slowly, but not one that a compiler writes out again.
  const loop = block === 1
    ? "{ let r = 0u;"
    : `for (var r = 0u; r < min(${block}u, ${queries}u - first); r++) {`;
  return `
@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;
${chunks > 1 ? "@group(0) @binding(4) var<storage, read_write> shares: array<vec2f>;" : ""}
@compute @workgroup_size(${lanes}) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${blocks * keyHeads * chunks}u) { return; }
  let key_head = id.x % ${keyHeads}u;
  let chunk = id.x / ${keyHeads}u % ${chunks}u;
  let first = id.x / ${chunks * keyHeads}u * ${block}u;
${
    each((r) =>
      `  let end${r} = ${keys - tokens + 1}u + (first + ${r}u) / ${group}u;
  var largest${r} = -3.0e38; var weights${r} = 0.0;
${step((d) => `  var q${r}_${d} = vec4f(); var s${r}_${d} = vec4f();`)}`
    )
  }
  ${loop}
    let at = ((first + r) / ${group}u * ${heads}u + key_head * ${group}u + (first + r) % ${group}u) * ${steps}u;
${
    step((d) =>
      `    let q${d} = q[at + ${d}u] * ${1 / Math.sqrt(size)}; ${
        each((r) => `q${r}_${d} = select(q${r}_${d}, q${d}, r == ${r}u);`, " ")
      }`
    )
  }
  }
  for (var j = chunk * ${chunk}u; j < min(end${block - 1}, min((chunk + 1u) * ${chunk}u, ${keys}u)); j++) {
    let at = (j * ${keyHeads}u + key_head) * ${steps}u;
${each((r) => `    var p${r} = vec4f();`)}
${step((d) => `    let k${d} = k[at + ${d}u]; ${each((r) => `p${r} += q${r}_${d} * k${d};`, " ")}`)}
${
    each((r) => {
      const score = `dot(p${r}, vec4f(1.0))`;
      return `    let score${r} = ${tokens > 1 ? `select(-3.0e38, ${score}, j < end${r})` : score};
    let now${r} = max(largest${r}, score${r});
    let shrink${r} = exp(largest${r} - now${r}); let weight${r} = exp(score${r} - now${r});
    largest${r} = now${r};
    weights${r} = weights${r} * shrink${r} + weight${r};`;
    })
  }
${
    step((d) =>
      `    let v${d} = v[at + ${d}u]; ${
        each((r) => `s${r}_${d} = s${r}_${d} * shrink${r} + weight${r} * v${d};`, " ")
      }`
    )
  }
  }
  ${loop}
    let query = (first + r) / ${group}u * ${heads}u + key_head * ${group}u + (first + r) % ${group}u;
    let at = (query * ${chunks}u + chunk) * ${steps}u;
    let weight = ${chosen("weights", "")};
    ${chunks > 1 ? `shares[query * ${chunks}u + chunk] = vec2f(${chosen("largest", "")}, weight);` : ""}
    let factor = ${chunks > 1 ? "1.0" : "1.0 / weight"};
${step((d) => `    out[at + ${d}u] = ${chosen("s", `_${d}`)} * factor;`)}
  }
}`;
}

function joinCode({ tokens, heads, size, chunks, lanes }: Shape): string {
  return `
@group(0) @binding(0) var<storage, read> sums: array<vec4f>;
@group(0) @binding(1) var<storage, read> shares: array<vec2f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@compute @workgroup_size(${lanes}) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= ${tokens * heads * size / 4}u) { return; }
  let first = id.x / ${size / 4}u * ${chunks}u;
  var largest = -3.0e38;
  for (var c = 0u; c < ${chunks}u; c++) { largest = max(largest, shares[first + c].x); }
  var weights = 0.0;
  var sum = vec4f();
  for (var c = 0u; c < ${chunks}u; c++) {
    let share = shares[first + c];
    let weight = exp(share.x - largest);
    weights += weight * share.y;
    sum += weight * sums[(first + c) * ${size / 4}u + id.x % ${size / 4}u];
  }
  out[id.x] = sum / weights;
}`;
}

function repeat(count: number, line: (i: number) => string, between = "\n"): string {
  return Array.from({ length: count }, (_, i) => line(i)).join(between);
}
