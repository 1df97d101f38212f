import { checkArgument, checkInstance } from "../../arguments.ts";
import { dispatch, type Shader, shader, workgroups } from "../../gpu/mod.ts";
import { referenceValues, Tensor } from "../../tensor/mod.ts";
import { attentionCode, attentionHead, type AttentionKind } from "./attention_code.ts";
import { checkExactShape, checkPosition, checkSameDType, checkStarts, shapeError } from "../checks.ts";
import { type AttentionPlan, planAttention } from "../dispatch/adapter.ts";
import { checkDType, FLOATS, operator } from "../operator.ts";
import { vectorize } from "../dispatch/vector.ts";
import combineCode from "../wgsl/attention_combine.wgsl" with { type: "text" };
import tileCode from "../wgsl/attention_tile.wgsl" with { type: "text" };

const combineShader = shader({ name: "attention_combine.wgsl", code: combineCode });

/** What {@linkcode attention} needs besides queries, keys and values. */
export interface AttentionOptions {
  /** i32 `[1]`: how many keys come before this run. Read by the shader, so a replay may change it. */
  readonly position: Tensor;
  /** Whether query `t`, whose place is `position + t`, sees only keys up to its own; otherwise all S. */
  readonly causal: boolean;
  /** How many keys before its own place a query sees at most: `w - 1` for a sliding window of w. Defaults to all. */
  readonly before?: number;
  /** How many keys after its own place a query sees at most, where it is not causal. Defaults to all. */
  readonly after?: number;
  /** Scores become `softcap · tanh(score / softcap)` (Gemma 2). Defaults to none. */
  readonly softcap?: number;
  /** i32 or u32 `[B, S]`: 0 hides a key from every query of its row. */
  readonly mask?: Tensor;
  /**
   * How many of the S slots are a ring, in which the key of place `p` lies in slot `p mod ring`. With all S, this run's
   * keys are in it already, as far as there is room; with `S - T`, they follow it.
   */
  readonly ring?: number;
  /** What scores are multiplied with; Defaults to `1 / √D`. */
  readonly scale?: number;
  /** i32 `[B]`: the first key that a row sees, when rows are padded on the left. */
  readonly starts?: Tensor;
}

/**
 * `softmax(q · kᵀ · scale) · v` for each head (Vaswani et al., 2017); heads of q share those of k and v in groups
 * (Ainslie et al., GQA, 2023).
 *
 * Keys may be a cache of which only a part is filled. A query that sees no key, or keys of a score of −∞ alone, gives zeros.
 *
 * @param q f32 or f16 `[B, T, Hq, D]`.
 * @param k The same dtype, `[B, S, Hkv, D]`; Hq is a multiple of Hkv.
 * @param v Like `k`.
 * @returns `[B, T, Hq, D]`
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { attention } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using q = Tensor.zeros([1, 2, 1, 1]), v = Tensor.from([2, 4], { shape: [1, 2, 1, 1] });
 * using position = Tensor.from([0], { dtype: "i32" });
 * using out = attention(q, q, v, { position, causal: true });
 * await assertClose(out, [2, 3]); // the first token sees itself, the second one both
 * ```
 */
export function attention(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor {
  for (const t of [q, k, v]) checkInstance("attention(): q, k or v", t, Tensor);
  checkArgument("attention(): options", options, "an object");
  const { position, starts, mask, scale = 1 / Math.sqrt(q.shape[3]) } = options;
  return run(q, k, v, position, starts, mask, options, scale);
}

// ---------------------------------------------------------------------------

const run = operator<
  [
    q: Tensor,
    k: Tensor,
    v: Tensor,
    position: Tensor,
    starts: Tensor | undefined,
    mask: Tensor | undefined,
    options: AttentionOptions,
    scale: number,
  ]
>({
  name: "attention",
  infer: (q, k, v, position, starts, mask, { before, after, softcap, ring }) => {
    const action = "run attention";
    checkDType(action, q, FLOATS);
    checkSameDType(action, q, k, v);
    if (q.rank !== 4) shapeError(action, `q is ${q.describe()}`, "It must be [B, T, heads, D].");
    const [batch, , heads, size] = q.shape;
    if (k.rank !== 4 || k.shape[0] !== batch || k.shape[3] !== size) {
      shapeError(
        action,
        `q is ${q.describe()} and k ${k.describe()}`,
        `k must be [${batch}, keys, key heads, ${size}].`,
      );
    }
    if (k.shape[2] === 0 ? heads !== 0 : heads % k.shape[2] !== 0) {
      shapeError(
        action,
        `${heads} heads over ${k.shape[2]} key heads`,
        "The first must be a multiple of the second.",
      );
    }
    checkExactShape(action, "v", v, k.shape);
    checkPosition(action, position);
    checkStarts(action, starts, batch);
    if (mask) {
      if (mask.dtype !== "u32") checkDType(action, mask, ["i32", "u32"]);
      checkExactShape(action, "the mask", mask, [batch, k.shape[1]]);
    }
    for (const [name, count] of Object.entries({ before, after })) {
      if (count === undefined || Number.isSafeInteger(count) && count >= 0) continue;
      shapeError(action, `${name} is ${count}`, "It must be a whole number of keys, 0 or more.");
    }
    if (ring !== undefined && ring !== k.shape[1] && ring !== k.shape[1] - q.shape[1]) {
      shapeError(
        action,
        `a ring of ${ring} slots among ${k.shape[1]} keys, for ${q.shape[1]} tokens`,
        "All keys are in the ring, or all but this run's.",
      );
    }
    if (softcap !== undefined && !(softcap > 0 && Number.isFinite(softcap))) {
      shapeError(action, `softcap is ${softcap}`, "It must be a positive number.");
    }
    return { shape: q.shape, dtype: q.dtype };
  },
  webgpu: (out, q, k, v, position, starts, mask, options, scale) => {
    const [rows, tokens, heads, size] = q.shape;
    const [, keys, keyHeads] = k.shape;
    const { width, types } = vectorize(q.dtype, size);
    const steps = size / width;
    const kind = kindOf(options);
    const seen = kind.windowed && options.ring === undefined
      ? Math.min(keys, tokens + options.before!)
      : keys;
    const plan = planAttention({ rows, queries: tokens * heads / keyHeads, keys: seen, keyHeads, steps });
    const bindings = {
      ...{ q, k, v, position, starts: starts ?? position },
      ...mask && { mask },
      params: {
        ...{ rows, tokens, keys, heads, key_heads: keyHeads, blocks: plan.blocks, chunks: plan.chunks },
        scale,
        share: width / 4,
        has_starts: starts ? 1 : 0,
        before: Math.min(options.before ?? MOST_KEYS, MOST_KEYS),
        after: options.causal ? 0 : Math.min(options.after ?? MOST_KEYS, MOST_KEYS),
        softcap: options.softcap ?? 0,
        ring: options.ring ?? 0,
      },
    };
    const count = rows * plan.blocks * keyHeads * plan.chunks;
    const settings = {
      workgroups: plan.tile ? workgroups(count, 1) : workgroups(count, 8),
      types: { V: types.V, A: types.A, ...mask && { M: mask.dtype } },
    };
    const code = shaderFor(plan, steps, kind);
    if (plan.chunks === 1) {
      dispatch(code, { ...bindings, out }, settings);
      return;
    }
    const states = rows * tokens * heads * plan.chunks;
    using sums = Tensor.empty([states, size]);
    using shares = Tensor.empty([states, 2]);
    dispatch(code, { ...bindings, sums, shares }, settings);
    const params = { count: q.size / width, steps, chunks: plan.chunks };
    dispatch(combineShader, { sums, shares, out, params }, {
      workgroups: workgroups(params.count),
      types: { V: types.V, A: types.A },
    });
  },
  reference: (out, q, k, v, position, starts, mask, options, scale) => {
    const [batch, tokens, heads, size] = q.shape;
    const [, keys, keyHeads] = k.shape;
    const [vq, vk, vv] = [referenceValues(q), referenceValues(k), referenceValues(v)];
    const [past] = referenceValues(position);
    const { before = Infinity, softcap, ring } = options;
    const last = past + (ring === keys ? tokens : 0) - 1;
    const after = options.causal ? 0 : options.after ?? Infinity;
    const hidden = mask && referenceValues(mask);
    // The place of the key in a slot; negative where nothing has been written yet.
    const placeOf = (slot: number) => {
      if (ring === undefined) return slot;
      return slot < ring ? last - (((last - slot) % ring) + ring) % ring : past + slot - ring;
    };
    for (let b = 0; b < batch; b++) {
      const start = Math.max(0, starts ? referenceValues(starts)[b] : 0);
      for (let t = 0; t < tokens; t++) {
        const own = past + t;
        const seen = Array.from({ length: keys }, (_, j) => j).filter((j) => {
          const place = placeOf(j);
          return place >= start && place >= own - before && place <= own + after &&
            hidden?.[b * keys + j] !== 0;
        });
        for (let h = 0; h < heads; h++) {
          const query = ((b * tokens + t) * heads + h) * size;
          const key = (j: number) => ((b * keys + j) * keyHeads + Math.floor(h * keyHeads / heads)) * size;
          const scores: number[] = [];
          for (const j of seen) {
            let score = 0;
            for (let d = 0; d < size; d++) score += vq[query + d] * vk[key(j) + d];
            scores.push(softcap ? softcap * Math.tanh(score * scale / softcap) : score * scale);
          }
          const largest = scores.reduce((most, s) => Math.max(most, s), -Infinity);
          if (largest === -Infinity) continue; // no key, or none that counts: zeros
          const weights = scores.map((s) => Math.exp(s - largest));
          const sum = weights.reduce((a, w) => a + w, 0);
          weights.forEach((w, n) => {
            for (let d = 0; d < size; d++) out[query + d] += w / sum * vv[key(seen[n]) + d];
          });
        }
      }
    }
  },
});

// ---------------------------------------------------------------------------

/** More keys than any cache has; added to a place it stays an i32. */
const MOST_KEYS = 1 << 30;

const shaders = new Map<string, Shader>();

function kindOf({ before, softcap, mask, ring }: AttentionOptions): AttentionKind {
  return {
    windowed: before !== undefined,
    capped: softcap !== undefined,
    masked: mask !== undefined,
    ring: ring !== undefined,
  };
}

function shaderFor({ tile, queries, chunks }: AttentionPlan, steps: number, kind: AttentionKind): Shader {
  const split = chunks > 1;
  const flags = Object.entries({ split, ...kind }).filter(([, on]) => on).map(([flag]) => ` ${flag}`).join(
    "",
  );
  const name = `attention ${tile ? "tile" : "block"} ${queries}x${steps}${flags}`;
  let made = shaders.get(name);
  if (!made) {
    const code = tile
      ? `const R = ${queries}u;\nconst STEPS = ${steps}u;\n${attentionHead(split, kind)}${
        writeCode(split)
      }${tileCode}`
      : attentionCode({ queries, steps, split, kind });
    shaders.set(name, made = shader({ name, code }));
  }
  return made;
}

function writeCode(split: boolean): string {
  return `fn put(query: u32, chunk: u32, step: u32, largest: f32, weight: f32, sum: A) {
${
    split
      ? `  let to = query * params.chunks + chunk;
  sums[to * STEPS + step] = sum;
  if (step == 0u) { shares[to] = vec2<f32>(largest, weight); }`
      : "  out[query * STEPS + step] = V(sum * select(0.0, 1.0 / weight, weight > 0.0)); // no key, no weight: zeros"
  }
}
`;
}
