import { checkArgument, showValue } from "../arguments.ts";
import { raise } from "../errors.ts";

/** How frequencies differ from those of the base, named and meant as in config.json. */
export type RopeScaling =
  | { readonly rope_type: "linear"; readonly factor: number }
  | {
    readonly rope_type: "dynamic";
    readonly factor: number;
    readonly original_max_position_embeddings: number;
  }
  | {
    readonly rope_type: "llama3";
    readonly factor: number;
    readonly low_freq_factor: number;
    readonly high_freq_factor: number;
    readonly original_max_position_embeddings: number;
  }
  | {
    readonly rope_type: "yarn";
    readonly factor: number;
    readonly original_max_position_embeddings: number;
    readonly beta_fast: number;
    readonly beta_slow: number;
    readonly truncate: boolean;
    /** What sine and cosine are multiplied with. */
    readonly attention_factor: number;
  }
  | {
    readonly rope_type: "longrope";
    readonly short_factor: readonly number[];
    readonly long_factor: readonly number[];
    readonly original_max_position_embeddings: number;
    /** What sine and cosine are multiplied with. */
    readonly attention_factor: number;
  };

/**
 * A rotary embedding: how fast each pair of a head's numbers turns, and what sine and cosine are multiplied with.
 * Whatever its kind, it comes down to a list of frequencies and one factor.
 *
 * @example
 * ```ts
 * import { Rope } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * const rope = new Rope(4, 10000);
 * await assertClose(Float64Array.from(rope.frequencies(16)), [1, 0.01]);
 * const twiceAsLong = new Rope(4, 10000, { rope_type: "linear", factor: 2 });
 * await assertClose(Float64Array.from(twiceAsLong.frequencies(16)), [0.5, 0.005]);
 * ```
 */
export class Rope {
  /** What sine and cosine are multiplied with; 1 but for YaRN and LongRoPE. */
  readonly factor: number;
  /** Whether frequencies depend on how long the sequence is. */
  readonly varies: boolean;
  readonly #known = new Map<number, readonly number[]>();

  /**
   * Makes one.
   *
   * @param dim How many of a head's numbers turn: all of them, or the first ones.
   * @param theta The base: pair `i` turns by `theta^(-2i/dim)` radians per position.
   * @throws KW-CONFIG-VALUE for an odd `dim`, or lists of factors that are not `dim / 2` long.
   */
  constructor(readonly dim: number, readonly theta: number, readonly scaling?: RopeScaling) {
    if (!Number.isSafeInteger(dim) || dim <= 0 || dim % 2 !== 0) {
      raise(
        "KW-CONFIG-VALUE",
        `Cannot turn ${showValue(dim)} numbers of a head: rotary embeddings turn pairs`,
      );
    }
    checkArgument("new Rope(): theta", theta, "a number");
    checkArgument("new Rope(): scaling", scaling, "an object, or undefined");
    if (scaling?.rope_type === "longrope") {
      for (const name of ["short_factor", "long_factor"] as const) {
        if (scaling[name].length === dim / 2) continue;
        raise("KW-CONFIG-VALUE", `${name} has ${scaling[name].length} numbers for ${dim / 2} pairs`);
      }
    }
    this.factor = scaling && "attention_factor" in scaling ? scaling.attention_factor : 1;
    this.varies = scaling?.rope_type === "dynamic" || scaling?.rope_type === "longrope";
  }

  /**
   * Radians per position of each of the `dim / 2` pairs; the same list for the same frequencies.
   *
   * @param length How many tokens there are: those of this run and those before it.
   */
  frequencies(length: number): readonly number[] {
    const key = this.kind(length);
    let known = this.#known.get(key);
    if (!known) {
      if (this.#known.size >= MOST_KNOWN) this.#known.clear(); // dynamic: one for each length
      this.#known.set(key, known = Object.freeze(this.#compute(key)));
    }
    return known;
  }

  /** Equal for lengths whose frequencies are the same. */
  kind(length: number): number {
    const { scaling } = this;
    if (scaling?.rope_type === "dynamic") return Math.max(length, scaling.original_max_position_embeddings);
    if (scaling?.rope_type === "longrope") return length > scaling.original_max_position_embeddings ? 1 : 0;
    return 0;
  }

  #compute(kind: number): number[] {
    const { dim, scaling, theta } = this;
    const plain = (base: number) => Array.from({ length: dim / 2 }, (_, i) => base ** (-2 * i / dim));
    switch (scaling?.rope_type) {
      case undefined:
        return plain(theta);
      case "linear":
        return plain(theta).map((f) => f / scaling.factor);
      case "dynamic": {
        // NTK-aware scaling by the length (bloc97 and emozilla, 2023), as Hugging Face has it.
        const { factor, original_max_position_embeddings: most } = scaling;
        return plain(theta * (factor * kind / most - (factor - 1)) ** (dim / (dim - 2)));
      }
      case "llama3":
        return plain(theta).map((f) => llama3(f, scaling));
      case "yarn":
        return yarn(plain(theta), dim, theta, scaling);
      case "longrope": {
        const factors = kind === 1 ? scaling.long_factor : scaling.short_factor;
        return plain(theta).map((f, i) => f / factors[i]);
      }
    }
  }
}

// ---------------------------------------------------------------------------

const MOST_KNOWN = 64;

type Scaling<T extends RopeScaling["rope_type"]> = Extract<RopeScaling, { readonly rope_type: T }>;

/** Slow pairs are slowed down by the factor, fast ones are not, and those between partly (Llama 3.1, Meta 2024). */
function llama3(frequency: number, s: Scaling<"llama3">): number {
  const length = 2 * Math.PI / frequency;
  const original = s.original_max_position_embeddings;
  if (length < original / s.high_freq_factor) return frequency;
  if (length > original / s.low_freq_factor) return frequency / s.factor;
  const smooth = (original / length - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1 - smooth) * frequency / s.factor + smooth * frequency;
}

/** YaRN's "NTK-by-parts" (Peng et al. 2023, section 3.2): by how often a pair turns within the original length. */
function yarn(plain: readonly number[], dim: number, theta: number, s: Scaling<"yarn">): number[] {
  const pairOf = (turns: number) =>
    dim * Math.log(s.original_max_position_embeddings / (turns * 2 * Math.PI)) / (2 * Math.log(theta));
  const round = (n: number, by: (n: number) => number) => s.truncate ? by(n) : n;
  const low = Math.max(round(pairOf(s.beta_fast), Math.floor), 0);
  let high = Math.min(round(pairOf(s.beta_slow), Math.ceil), dim - 1);
  if (low === high) high += 0.001;
  return plain.map((f, i) => {
    const slowed = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return slowed * f / s.factor + (1 - slowed) * f;
  });
}
