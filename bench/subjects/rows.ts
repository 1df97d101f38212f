import { compare } from "../compare.ts";
import { numbers } from "../data.ts";
import { CAPTURED, EAGER, PEERS, RAW } from "../programs.ts";
import type { Case, Effort, Subject } from "../subject.ts";

const SIZES = [[1, 64], [1, 2048], [64, 512], [256, 1024], [2048, 64]] as const;

/** Operators along rows. */
export const rowsSubject: Subject = {
  name: "rows",
  about: "RMSNorm, softmax and rotary embedding (tokens × heads × head size).",
  run: async (effort, say) => {
    const programs = [RAW, EAGER, CAPTURED, ...(effort.peers ? PEERS : [])];
    const rows = [];
    for (const [work, cases] of [["rms_norm", norms], ["softmax", softmaxes], ["rope", ropes]] as const) {
      rows.push(...await compare(work, cases(effort), programs, effort, say));
    }
    return { rows };
  },
};

// ---------------------------------------------------------------------------

function sizes(effort: Effort): (readonly [number, number])[] {
  return effort.quick ? [SIZES[2]] : [...SIZES];
}

function norms(effort: Effort): Case[] {
  return sizes(effort).map(([rows, width]) => ({
    name: `rms_norm ${rows} × ${width}`,
    params: { rows, width },
    size: rows * width,
    reference: (at) => {
      const [x, w] = [numbers(rows * width, 1), numbers(width, 2)];
      return at.map((i) => x[i] / Math.sqrt(meanSquare(x, i - i % width, width) + 1e-5) * w[i % width]);
    },
  }));
}

function softmaxes(effort: Effort): Case[] {
  return sizes(effort).map(([rows, width]) => ({
    name: `softmax ${rows} × ${width}`,
    params: { rows, width },
    size: rows * width,
    reference: (at) => {
      const x = numbers(rows * width, 1, 4);
      return at.map((i) => {
        let sum = 0;
        for (let k = i - i % width; k < i - i % width + width; k++) sum += Math.exp(x[k] - x[i]);
        return 1 / sum;
      });
    },
  }));
}

function ropes(effort: Effort): Case[] {
  const shapes = effort.quick ? [[64, 8, 64]] : [[1, 8, 8], [1, 32, 128], [64, 8, 64], [512, 8, 64]];
  return shapes.map(([rows, heads, size]) => ({
    name: `rope ${rows} × ${heads} × ${size}`,
    params: { rows, heads, size, width: heads * size },
    size: rows * heads * size,
    reference: (at) => {
      const x = numbers(rows * heads * size, 1);
      const half = size / 2;
      return at.map((i) => {
        const angle = Math.floor(i / (heads * size)) * 10000 ** (-(i % half) / half);
        return i % size < half
          ? x[i] * Math.cos(angle) - x[i + half] * Math.sin(angle)
          : x[i] * Math.cos(angle) + x[i - half] * Math.sin(angle);
      });
    },
  }));
}

function meanSquare(x: Float32Array, from: number, count: number): number {
  let sum = 0;
  for (let i = from; i < from + count; i++) sum += x[i] ** 2;
  return sum / count;
}
