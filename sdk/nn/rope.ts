/** How positions turn the pairs of a head: a base, and what stretches it to longer texts. */
export type Rope =
  | DefaultRope
  | LinearRope
  | Llama3Rope
  | YarnRope;

/** Su et al. 2021: pair `i` of `D/2` turns by `theta^(-2i/D)` radians per position. */
export interface DefaultRope {
  /** The kind. */
  readonly kind: "default";
  /** The base of the frequencies. */
  readonly theta: number;
}

/** Every frequency divided by one factor (position interpolation). */
export interface LinearRope {
  /** The kind. */
  readonly kind: "linear";
  /** The base of the frequencies. */
  readonly theta: number;
  /** What they are divided by. */
  readonly factor: number;
}

/** Llama 3: slow pairs are divided by the factor, fast ones are not, with a ramp between. */
export interface Llama3Rope {
  /** The kind. */
  readonly kind: "llama3";
  /** The base of the frequencies. */
  readonly theta: number;
  /** What slow pairs are divided by. */
  readonly factor: number;
  /** Pairs with fewer turns than this over the original length are slow. */
  readonly low_freq_factor: number;
  /** Pairs with more turns than this over the original length are fast. */
  readonly high_freq_factor: number;
  /** The length that the model was first trained for. */
  readonly original_max_position_embeddings: number;
}

/** YaRN (Peng et al. 2023): a ramp over the pairs, and a factor on cos and sin. */
export interface YarnRope {
  /** The kind. */
  readonly kind: "yarn";
  /** The base of the frequencies. */
  readonly theta: number;
  /** What slow pairs are divided by. */
  readonly factor: number;
  /** Turns over the original length above which a pair stays as it is. */
  readonly beta_fast: number;
  /** Turns over the original length below which a pair is divided by the whole factor. */
  readonly beta_slow: number;
  /** Whether the ramp's ends are rounded to whole pairs. */
  readonly truncate: boolean;
  /** What cos and sin are multiplied by. */
  readonly attention_factor: number;
  /** The length that the model was first trained for. */
  readonly original_max_position_embeddings: number;
}

/** Radians per position of each of the `size / 2` pairs. */
export function ropeFrequencies(rope: Rope, size: number): number[] {
  const plain = Array.from({ length: size / 2 }, (_, i) => rope.theta ** (-2 * i / size));
  switch (rope.kind) {
    case "default":
      return plain;
    case "linear":
      return plain.map((f) => f / rope.factor);
    case "llama3":
      return plain.map((f) => llama3(rope, f));
    case "yarn": {
      const slow = yarnRamp(rope, size);
      return plain.map((f, i) => f * (1 - slow(i)) + f / rope.factor * slow(i));
    }
  }
}

/** What cos and sin are multiplied by, for q and for k: 1 but for YaRN. */
export function ropeFactor(rope: Rope): number {
  return rope.kind === "yarn" ? rope.attention_factor : 1;
}

// ---------------------------------------------------------------------------

function llama3(rope: Llama3Rope, frequency: number): number {
  const { factor, low_freq_factor: low, high_freq_factor: high } = rope;
  const turns = rope.original_max_position_embeddings * frequency / (2 * Math.PI);
  if (turns < low) return frequency / factor;
  if (turns > high) return frequency;
  const smooth = (turns - low) / (high - low);
  return (1 - smooth) * frequency / factor + smooth * frequency;
}

/** How much of a pair's frequency is divided: 0 for the fast ones, 1 for the slow ones. */
function yarnRamp(rope: YarnRope, size: number): (pair: number) => number {
  const pairOf = (turns: number) =>
    size * Math.log(rope.original_max_position_embeddings / (turns * 2 * Math.PI)) /
    (2 * Math.log(rope.theta));
  let [low, high] = [pairOf(rope.beta_fast), pairOf(rope.beta_slow)];
  if (rope.truncate) [low, high] = [Math.floor(low), Math.ceil(high)];
  low = Math.max(low, 0);
  high = Math.min(high, size - 1);
  if (low === high) high += 0.001;
  return (pair) => Math.min(1, Math.max(0, (pair - low) / (high - low)));
}
