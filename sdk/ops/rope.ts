import { checkArgument } from "../arguments.ts";
import { dispatch, type Shader, shader, workgroups } from "../gpu/mod.ts";
import { referenceValues, type Tensor } from "../tensor/mod.ts";
import { checkPosition, checkStarts, shapeError } from "./checks.ts";
import { MOST_ROUNDS, onSoftware } from "./dispatch/adapter.ts";

import { checkDType, FLOATS, operator } from "./operator.ts";
import code from "./wgsl/rope.wgsl" with { type: "text" };

// Four pairs at a time, or one.
const fours = ropeShader("params.turns[2u * part + word]");
const ones = ropeShader("params.turns[part / 4u * 2u + word][part % 4u]");

/** How {@linkcode rope} rotates. */
export interface RopeOptions {
  /** The base of the frequencies: pair `i` of `D/2` turns by `theta^(-2i/D)` radians per position. */
  readonly theta?: number;
  /** i32 `[B]`: where each row of the batch begins, when rows are padded on the left. */
  readonly starts?: Tensor;
  /** Pairs `(2i, 2i+1)`, as in the paper; otherwise `(i, i + D/2)`, as Hugging Face stores the weights. */
  readonly interleaved?: boolean;
  /**
   * Radians per position, pair by pair, in place of those of `theta` (scaled RoPE). With fewer than `D/2`, only the
   * first numbers of a head turn, as if they were all, and the others stay (partial rotary).
   */
  readonly frequencies?: readonly number[];
  /** What sine and cosine are multiplied with (YaRN's attention factor). Defaults to 1. */
  readonly factor?: number;
}

/**
 * Rotary position embedding (Su et al., RoFormer, 2021, equation 34): rotates pairs of each head's numbers.
 *
 * Token `t` of row `b` is at `max(0, position[0] + t - starts[b])`. On the GPU within 1e-6 of the exact rotation at
 * every position below 2^31.
 *
 * @param x f32 or f16 `[B, T, heads, D]`, D even and at most 1024.
 * @param position i32 `[1]`: the position of the first token. Read by the shader, so a replay may change it.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { rope } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([1, 0], { shape: [1, 1, 1, 2] }), position = Tensor.from([1], { dtype: "i32" });
 * using out = rope(x, position, { theta: 10000 });
 * await assertClose(out, [Math.cos(1), Math.sin(1)]);
 * ```
 */
export function rope(x: Tensor, position: Tensor, options: RopeOptions): Tensor {
  checkArgument("rope(): options", options, "an object");
  return run(x, position, options.starts, options);
}

// ---------------------------------------------------------------------------

const run = operator<[x: Tensor, position: Tensor, starts: Tensor | undefined, options: RopeOptions]>({
  name: "rope",
  infer: (x, position, starts, { frequencies, theta }) => {
    const action = "run rope";
    checkDType(action, x, FLOATS);
    checkPosition(action, position);
    const size = x.shape[3];
    if (x.rank !== 4 || size % 2 !== 0 || size > 1024) {
      shapeError(action, `x is ${x.describe()}`, "It must be [B, T, heads, D] with D even and at most 1024.");
    }
    if (!frequencies && theta === undefined) {
      shapeError(action, "there is neither a theta nor a list of frequencies", "Give one of the two.");
    }
    if (frequencies && (frequencies.length > size / 2 || frequencies.length === 0 && size > 0)) {
      shapeError(
        action,
        `${frequencies.length} frequencies for heads of ${size}`,
        `Give ${size / 2}, or fewer where a part of a head stays.`,
      );
    }
    checkStarts(action, starts, x.shape[0]);
    return { shape: x.shape, dtype: x.dtype };
  },
  webgpu: (out, x, position, starts, options) => {
    const [rows, tokens, heads, size] = x.shape;
    const turns = turnsOf(size, options);
    const turning = 2 * (options.frequencies?.length ?? size / 2);
    const wide = turning % 8 === 0 && size % 4 === 0 && !options.interleaved;
    const of = (type: string) => wide ? `vec4<${type}>` : type;
    const load = wide ? 4 : 1;
    const [parts, tail] = [turning / load / 2, (size - turning) / load];
    const each = headsOf(rows * tokens * (parts + tail), heads);
    const chunks = Math.ceil(heads / each);
    const count = rows * tokens * chunks * (parts + tail);
    const group = onSoftware() && count < 512 ? 8 : 64;
    const { factor = 1 } = options;
    const params = { count, tokens, heads, parts, tail, chunks, each, factor, turns };
    dispatch(wide ? fours : ones, { x, position, starts: starts ?? position, out, params }, {
      workgroups: workgroups(count, group),
      constants: {
        SIDE_BY_SIDE: group,
        HAS_STARTS: starts ? 1 : 0,
        INTERLEAVED: options.interleaved ? 1 : 0,
      },
      types: {
        ...{ V: of(x.dtype), A: of("f32"), U: of("u32"), I: of("i32") },
        Turns: `array<vec4<u32>, ${turns.length / 4}>`,
      },
    });
  },
  reference: (out, x, position, starts, options) => {
    const [batch, tokens, heads, size] = x.shape;
    const v = referenceValues(x);
    const [first] = referenceValues(position);
    const frequencies = frequenciesOf(size, options);
    const half = frequencies.length;
    const { factor = 1 } = options;
    out.set(v);
    for (let b = 0; b < batch; b++) {
      for (let t = 0; t < tokens; t++) {
        const place = Math.max(0, first + t - (starts ? referenceValues(starts)[b] : 0));
        for (let h = 0; h < heads; h++) {
          const start = ((b * tokens + t) * heads + h) * size;
          for (let i = 0; i < half; i++) {
            const [p, q] = options.interleaved
              ? [start + 2 * i, start + 2 * i + 1]
              : [start + i, start + i + half];
            const angle = place * frequencies[i];
            const [cos, sin] = [factor * Math.cos(angle), factor * Math.sin(angle)];
            out[p] = v[p] * cos - v[q] * sin;
            out[q] = v[q] * cos + v[p] * sin;
          }
        }
      }
    }
  },
});

function ropeShader(turns: string): Shader {
  return shader({
    name: "rope.wgsl",
    code: `${code}\nfn turns_of(part: u32, word: u32) -> U { return ${turns}; }\n`,
  });
}

/**
 * How many heads an invocation rotates by an angle that it works out once: as many as leave work for all cores.
 * `others` are the invocations without heads. On software, 512 tokens with 8 heads of 64 in one take 0.49 of what a
 * head for each takes.
 */
function headsOf(others: number, heads: number): number {
  const chunks = Math.ceil((onSoftware() ? 64 : 16384) / others);
  return Math.min(MOST_ROUNDS, Math.ceil(heads / Math.min(heads, chunks)));
}

const known = new Map<string, readonly number[]>();
const knownOf = new WeakMap<readonly number[], readonly number[]>();

/** The shader's frequencies, as it lays them out; those of a theta, or of one list, are worked out once, not for each token. */
function turnsOf(size: number, options: RopeOptions): readonly number[] {
  const { frequencies: given } = options;
  const key = `${size},${options.theta}`;
  const before = given ? knownOf.get(given) : known.get(key);
  if (before) return before;
  const words = frequenciesOf(size, options).map(fixedPoint);
  const turns: number[] = [];
  for (let i = 0; i < words.length; i += 4) {
    for (const word of [0, 1]) {
      for (let pair = i; pair < i + 4; pair++) turns.push(words[pair]?.[word] ?? 0);
    }
  }
  if (!given) known.set(key, turns);
  else if (Object.isFrozen(given)) knownOf.set(given, turns); // others may change
  return turns;
}

function frequenciesOf(size: number, options: RopeOptions): readonly number[] {
  return options.frequencies ??
    Array.from({ length: size / 2 }, (_, i) => options.theta! ** (-2 * i / size));
}

/** Radians as the high and low word of turns times 2^64; whole turns drop out. */
function fixedPoint(radians: number): [high: number, low: number] {
  const turns = radians / (2 * Math.PI);
  const scaled = (turns - Math.floor(turns)) * 2 ** 32;
  const high = Math.floor(scaled);
  return [high, Math.floor((scaled - high) * 2 ** 32)];
}
