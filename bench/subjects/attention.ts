import { compare } from "../compare.ts";
import { numbers } from "../data.ts";
import { CAPTURED, EAGER, PEERS, RAW } from "../programs.ts";
import type { Case, Subject } from "../subject.ts";

/** Tokens, keys, heads, key heads, head size. */
const SHAPES = [[1, 128, 8, 4, 8], [1, 1024, 8, 4, 64], [64, 64, 8, 4, 64], [128, 128, 8, 8, 64]] as const;

/** Causal attention: decode (one token over many keys) and prefill. */
export const attentionSubject: Subject = {
  name: "attention",
  about: "Causal attention with grouped heads: decode is one token over many keys, prefill many over many.",
  run: async (effort, say) => {
    const shapes = effort.quick ? SHAPES.slice(1, 3) : SHAPES;
    const programs = [RAW, EAGER, CAPTURED, ...(effort.peers ? PEERS : [])];
    return { rows: await compare("attention", shapes.map(attentionCase), programs, effort, say) };
  },
};

// ---------------------------------------------------------------------------

function attentionCase([tokens, keys, heads, keyHeads, size]: typeof SHAPES[number]): Case {
  return {
    name: `${
      tokens === 1 ? "decode" : "prefill"
    } ${tokens} over ${keys}, ${heads}/${keyHeads} heads of ${size}`,
    params: { tokens, keys, heads, keyHeads, size },
    size: tokens * heads * size,
    reference: (at) => {
      const q = numbers(tokens * heads * size, 1);
      const [k, v] = [numbers(keys * keyHeads * size, 2), numbers(keys * keyHeads * size, 3)];
      return at.map((i) => {
        const token = Math.floor(i / (heads * size));
        const head = Math.floor(i / size) % heads;
        const key = (j: number) => (j * keyHeads + Math.floor(head * keyHeads / heads)) * size;
        let [sum, weights] = [0, 0];
        for (let j = 0; j <= keys - tokens + token; j++) {
          let score = 0;
          for (let d = 0; d < size; d++) score += q[i - i % size + d] * k[key(j) + d];
          const weight = Math.exp(score / Math.sqrt(size));
          sum += weight * v[key(j) + i % size];
          weights += weight;
        }
        return sum / weights;
      });
    },
  };
}
