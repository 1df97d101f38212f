import { checkArgument, checkFields, refuseArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import { onReplay } from "../gpu/mod.ts";
import { advance, attention, type AttentionOptions, cacheWrite, concat } from "../ops/mod.ts";
import { currentTracer, type DeviceName, type DType, keep, Tensor } from "../tensor/mod.ts";

/** The sizes of a {@linkcode KVCache}. */
export interface KVCacheOptions {
  /** Decoder layers. */
  readonly layers: number;
  /** Rows of the batch; defaults to 1. */
  readonly batch?: number;
  /** Key/value heads. */
  readonly heads: number;
  /** Elements per head. */
  readonly headDim: number;
  /** The most tokens that it can hold. */
  readonly maxLength: number;
  /** For each layer, how many tokens it sees, where that is a window: no more are kept. */
  readonly windows?: readonly (number | undefined)[];
  /** Defaults to `f32`. */
  readonly dtype?: DType;
  /** Defaults to `webgpu`. */
  readonly device?: DeviceName;
}

/**
 * Keys and values of the tokens seen so far, in buffers of full length that are written in place: every step of a
 * generation has the same shapes, and the position is read by the shaders from a tensor.
 *
 * @example
 * ```ts
 * import { openGpu } from "@kernelwright/sdk";
 * import { KVCache } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using cache = new KVCache({ layers: 2, heads: 4, headDim: 8, maxLength: 16 });
 * cache.reserve(3); // throws KW-CACHE-FULL where they do not fit
 * cache.advance(3);
 * assertEquals([cache.length, cache.keys[0].shape], [3, [1, 16, 4, 8]]);
 * ```
 */
export class KVCache {
  /** Keys by layer, `[batch, maxLength, heads, headDim]`; of a ring, as many places as its window. */
  readonly keys: readonly Tensor[];
  /** Values by layer, like the keys. */
  readonly values: readonly Tensor[];
  /** i32 `[1]`: how many tokens are in. */
  readonly position: Tensor;
  /** The most tokens that it can hold. */
  readonly maxLength: number;
  /**
   * For each layer, its places where it is a ring: the token at position `p` lies in place `p mod ring`, and goes when the
   * window has left it behind. Undefined for a layer that keeps all.
   */
  readonly rings: readonly (number | undefined)[];
  #length = 0;

  /** Allocates the cache. */
  constructor(options: KVCacheOptions) {
    checkFields("new KVCache(): options", options, {
      layers: "a count",
      heads: "a count",
      headDim: "a count",
      maxLength: "a count",
    });
    const { layers, batch = 1, heads, headDim, maxLength, dtype = "f32", device = "webgpu" } = options;
    this.rings = Array.from({ length: layers }, (_, i) => {
      const window = options.windows?.[i];
      return window !== undefined && window < maxLength ? window : undefined;
    });
    const make = (name: string) => (_: unknown, i: number) => {
      const shape = [batch, this.rings[i] ?? maxLength, heads, headDim];
      // Zeros: what is not yet filled is multiplied by nothing, but must not be NaN.
      return keep(Tensor.zeros(shape, { dtype, device, name: `${name}.${i}` }));
    };
    this.keys = Array.from({ length: layers }, make("cache.keys"));
    this.values = Array.from({ length: layers }, make("cache.values"));
    this.position = keep(Tensor.zeros([1], { dtype: "i32", device, name: "cache.position" }));
    this.maxLength = maxLength;
  }

  /** How many tokens are in. */
  get length(): number {
    return this.#length;
  }

  /**
   * Checks that `tokens` more fit.
   *
   * @throws KW-CACHE-FULL
   */
  reserve(tokens: number): void {
    checkArgument("reserve(): tokens", tokens, "a count");
    if (this.#length + tokens > this.maxLength) {
      raise(
        "KW-CACHE-FULL",
        `Cannot add ${tokens} tokens to a cache that holds ${this.#length} of ${this.maxLength}`,
        "Make the cache longer (maxLength), up to the model's max_position_embeddings.",
      );
    }
  }

  /** Counts `tokens` as seen, after a forward has written them. */
  advance(tokens: number): void {
    checkArgument("advance(): tokens", tokens, "a count");
    const count = () => {
      this.reserve(tokens);
      if (!currentTracer()) this.#length += tokens; // a trace only looks
    };
    count();
    if (this.position.device === "webgpu") onReplay(count);
    advance(this.position, tokens);
  }

  /** Forgets the last `tokens`: what is written next takes their places. */
  rewind(tokens: number): void {
    if (!Number.isSafeInteger(tokens) || tokens < 0 || tokens > this.#length) {
      refuseArgument("KVCache.rewind(): tokens", tokens, `a count of at most ${this.#length}`);
    }
    this.#length -= tokens;
    advance(this.position, -tokens);
  }

  /** Releases the memory. */
  dispose(): void {
    for (const t of [...this.keys, ...this.values, this.position]) t.dispose();
  }

  /** Lets `using` statements dispose the cache. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** What {@linkcode attendCached} needs of a cache. */
export interface LayerCache {
  /** Keys by layer. */
  readonly keys: readonly Tensor[];
  /** Values by layer. */
  readonly values: readonly Tensor[];
  /** For each layer, its places where it is a ring. */
  readonly rings?: readonly (number | undefined)[];
}

/**
 * Writes the keys and values of a run into a layer of a cache, and attends to all that the layer has.
 *
 * @param q `[batch, tokens, heads of q, headDim]`. @param k `[batch, tokens, heads, headDim]`. @param v Like `k`.
 * @param options Those of `attention`; its `before` is within the layer's window, where it has one.
 * @returns `[batch, tokens, heads of q, headDim]`
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { attendCached, KVCache } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using cache = new KVCache({ layers: 1, heads: 1, headDim: 1, maxLength: 4 });
 * using q = Tensor.zeros([1, 2, 1, 1]), v = Tensor.from([2, 4], { shape: [1, 2, 1, 1] });
 * using out = attendCached(cache, 0, q, q, v, { position: cache.position, causal: true });
 * cache.advance(2);
 * assertEquals([...await out.data()], [2, 3]);
 * assertEquals([...await cache.values[0].data()], [2, 4, 0, 0]);
 * ```
 */
export function attendCached(
  cache: LayerCache,
  layer: number,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: AttentionOptions,
): Tensor {
  checkFields("attendCached(): cache", cache, { keys: "an array", values: "an array" });
  checkArgument("attendCached(): options", options, "an object");
  const [keys, values, ring] = [cache.keys[layer], cache.values[layer], cache.rings?.[layer]];
  const write = () => {
    cacheWrite(keys, k, options.position, ring !== undefined);
    cacheWrite(values, v, options.position, ring !== undefined);
  };
  if (ring === undefined || k.shape[1] === 1) {
    write();
    return attention(q, keys, values, { ...options, ring });
  }
  // Of several tokens the last would push out what the first still sees.
  const seen = attention(q, concat([keys, k], 1), concat([values, v], 1), { ...options, ring });
  write();
  return seen;
}
