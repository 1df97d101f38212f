import { add, cast, matmul, max } from "../../ops/mod.ts";
import { Tensor } from "../../tensor/mod.ts";

/**
 * How the vectors of a text's tokens become one, in the order in which several are put behind each other.
 *
 * See the example of {@linkcode readEmbeddingSettings}.
 */
export const POOLINGS = ["cls", "max", "mean", "mean_sqrt_len", "weightedmean", "lasttoken"] as const;

/** How the vectors of a text's tokens become one. */
export type Pooling = typeof POOLINGS[number];

/**
 * The last hidden states of texts, padded on the right, pooled: all but `max` are sums over the tokens, whose weights
 * are known before.
 *
 * @param hidden f32 or f16 `[batch, tokens, hidden_size]`.
 * @param lengths How many tokens of each text are no padding.
 * @returns f32 `[batch, poolings, hidden_size]`, in the order of {@linkcode POOLINGS}: the sums, and then `max`.
 */
export function pool(hidden: Tensor, lengths: readonly number[], poolings: readonly Pooling[]): Tensor[] {
  const [batch, tokens, width] = hidden.shape;
  const { device } = hidden;
  const states = cast(hidden, "f32");
  return inOrder(poolings).map((pooling) => {
    if (pooling === "max") {
      // As in sentence-transformers: so low that no padding is the largest.
      const low = lengths.flatMap((n) => Array.from({ length: tokens }, (_, t) => t < n ? 0 : -1e9));
      return max(add(states, Tensor.from(low, { shape: [batch, tokens, 1], device })), 1);
    }
    const weights = lengths.flatMap((n) => weightsOf(pooling, n, tokens));
    return matmul(Tensor.from(weights, { shape: [batch, 1, tokens], device }), states).reshape([
      batch,
      width,
    ]);
  });
}

/** Without repetitions, in the order of {@linkcode POOLINGS}. */
export function inOrder(poolings: readonly Pooling[]): Pooling[] {
  return POOLINGS.filter((p) => poolings.includes(p));
}

// ---------------------------------------------------------------------------

/** What each of the `tokens` counts, of which the first `n` are no padding. */
function weightsOf(pooling: Exclude<Pooling, "max">, n: number, tokens: number): number[] {
  const places = (n * (n + 1)) / 2; // 1 + 2 + … + n
  const weight = {
    cls: (t: number) => t === 0 ? 1 : 0,
    mean: () => 1 / n,
    mean_sqrt_len: () => 1 / Math.sqrt(n),
    weightedmean: (t: number) => (t + 1) / places,
    lasttoken: (t: number) => t === n - 1 ? 1 : 0,
  }[pooling];
  return Array.from({ length: tokens }, (_, t) => t < n ? weight(t) : 0);
}
