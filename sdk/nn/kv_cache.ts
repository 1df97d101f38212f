import { checkArgument, checkFields } from "../arguments.ts";
import { raise } from "../errors.ts";
import { onReplay } from "../gpu/mod.ts";
import { advance } from "../ops/mod.ts";
import { currentTracer, type DeviceName, type DType, keep, Tensor } from "../tensor/mod.ts";

/** The sizes of a {@linkcode KVCache}. */
export interface KVCacheOptions {
  /** Decoder layers. */
  readonly layers: number;
  /** Rows of the batch; 1 unless told. */
  readonly batch?: number;
  /** Key/value heads. */
  readonly heads: number;
  /** Elements per head. */
  readonly headDim: number;
  /** The most tokens that it can hold. */
  readonly maxLength: number;
  /** `f32` unless told. */
  readonly dtype?: DType;
  /** `webgpu` unless told. */
  readonly device?: DeviceName;
}

/**
 * Keys and values of the tokens seen so far, in buffers of full length that are written in place: every step of a
 * generation has the same shapes, and the position is read by the shaders from a tensor.
 */
export class KVCache {
  /** Keys by layer, `[batch, maxLength, heads, headDim]`. */
  readonly keys: readonly Tensor[];
  /** Values by layer, `[batch, maxLength, heads, headDim]`. */
  readonly values: readonly Tensor[];
  /** i32 `[1]`: how many tokens are in. */
  readonly position: Tensor;
  /** The most tokens that it can hold. */
  readonly maxLength: number;
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
    const make = (name: string) => (_: unknown, i: number) =>
      // Zeros: what is not yet filled is multiplied by nothing, but must not be NaN.
      keep(Tensor.zeros([batch, maxLength, heads, headDim], { dtype, device, name: `${name}.${i}` }));
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
