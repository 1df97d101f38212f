/** Attention over a filled cache: one head of a token to an invocation, softmax online, a head in registers. */
import { numbers } from "../data.ts";
import type { Params, Prepared } from "../protocol.ts";
import { fastest, type RawGpu } from "./gpu.ts";

/** The fastest workgroup size. */
export async function prepareAttention(gpu: RawGpu, params: Params): Promise<Prepared> {
  const [tokens, keys, heads, keyHeads, size] = ["tokens", "keys", "heads", "keyHeads", "size"].map((n) =>
    Number(params[n])
  );
  const q = gpu.buffer(numbers(tokens * heads * size, 1));
  const k = gpu.buffer(numbers(keys * keyHeads * size, 2));
  const v = gpu.buffer(numbers(keys * keyHeads * size, 3));
  const out = gpu.buffer(tokens * heads * size * 4);
  const items = tokens * heads;
  const steps = await fastest(
    gpu,
    out,
    [4, 8, 16].map((group) => ({
      name: `${group} to a workgroup`,
      make: () => {
        const code = attentionCode({ tokens, keys, heads, keyHeads, size, group });
        return [gpu.step(gpu.pipeline(code), [q, k, v, out], Math.ceil(items / group))];
      },
    })),
  );
  return {
    call: () => gpu.record(steps),
    wait: () => gpu.wait(out),
    values: (at) => gpu.values(out, "f32", at),
    drop: () => gpu.drop(),
  };
}

// ---------------------------------------------------------------------------

interface Sizes {
  tokens: number;
  keys: number;
  heads: number;
  keyHeads: number;
  size: number;
  group: number;
}

function attentionCode({ tokens, keys, heads, keyHeads, size, group }: Sizes): string {
  const steps = size / 4;
  const each = (line: (d: number) => string) => Array.from({ length: steps }, (_, d) => line(d)).join("\n");
  return `
@group(0) @binding(0) var<storage, read> q: array<vec4f>;
@group(0) @binding(1) var<storage, read> k: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;
@compute @workgroup_size(${group}) fn main(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x;
  if (i >= ${tokens * heads}u) { return; }
  let key_head = i % ${heads}u / ${heads / keyHeads}u;
  let end = ${keys - tokens}u + i / ${heads}u + 1u;
${each((d) => `  let q${d} = q[i * ${steps}u + ${d}u] * ${1 / Math.sqrt(size)}; var s${d} = vec4f();`)}
  var largest = -3.0e38;
  var weights = 0.0;
  for (var j = 0u; j < end; j++) {
    let at = (j * ${keyHeads}u + key_head) * ${steps}u;
    var score = 0.0;
${each((d) => `    score += dot(q${d}, k[at + ${d}u]);`)}
    let now = max(largest, score);
    let shrink = exp(largest - now);
    let weight = exp(score - now);
    largest = now;
    weights = weights * shrink + weight;
${each((d) => `    s${d} = s${d} * shrink + weight * v[at + ${d}u];`)}
  }
${each((d) => `  out[i * ${steps}u + ${d}u] = s${d} / weights;`)}
}`;
}
