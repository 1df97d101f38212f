import { compare } from "../compare.ts";
import { numbersAs } from "../data.ts";
import { EAGER, PEERS, RAW } from "../programs.ts";
import type { Case, Subject } from "../subject.ts";

/** Rows of x, columns of the result, depth. */
const SHAPES: readonly (readonly [number, number, number])[] = [
  [256, 256, 256],
  [512, 512, 512],
  [1024, 1024, 1024],
  [250, 130, 333],
  [1, 5632, 2048],
  [1, 1024, 1024],
  [1, 2048, 5632],
  [1, 172, 64],
  [1, 8192, 512],
  [2, 1024, 1024],
  [4, 512, 512],
  [7, 77, 333],
  [8, 2048, 512],
  [16, 512, 512],
  [32, 688, 256],
  [33, 129, 257],
  [64, 1408, 512],
  [64, 512, 1408],
  [128, 128, 2048],
  [128, 2048, 128],
  [512, 64, 512],
  [1000, 100, 100],
  [250, 333, 130],
];
const QUICK = [0, 3, 5, 16];
const HALF = [1, 4, 16];

/** x · Wᵀ, with the weight as checkpoints have it. */
export const matmulSubject: Subject = {
  name: "matmul",
  about: "`x · Wᵀ` (rows × columns × depth), the weight as checkpoints have it: `[columns, depth]`.",
  run: async (effort, say) => {
    const full = SHAPES.map((s) => product(s, "f32")).concat(HALF.map((i) => product(SHAPES[i], "f16")));
    const cases = effort.quick ? QUICK.map((i) => product(SHAPES[i], "f32")) : full;
    const programs = [RAW, EAGER, ...(effort.peers ? PEERS : [])];
    return { rows: await compare("linear", cases, programs, effort, say) };
  },
};

// ---------------------------------------------------------------------------

function product([rows, columns, depth]: readonly [number, number, number], dtype: string): Case {
  return {
    name: `${rows} × ${columns} × ${depth}${dtype === "f16" ? " f16" : ""}`,
    params: { rows, columns, depth, dtype },
    size: rows * columns,
    tolerance: dtype === "f16" ? 2e-3 : 1e-4,
    reference: (at) => {
      const x = numbersAs(dtype, rows * depth, 1);
      const w = numbersAs(dtype, columns * depth, 2);
      return at.map((i) => {
        const [row, column] = [Math.floor(i / columns), i % columns];
        let sum = 0;
        for (let k = 0; k < depth; k++) sum += x[row * depth + k] * w[column * depth + k];
        return sum;
      });
    },
  };
}
