import { compare } from "../compare.ts";
import { numbers } from "../data.ts";
import { PEERS, type Program, RAW } from "../programs.ts";
import type { Case, Subject } from "../subject.ts";

const ours = (name: string): Program => ({ name, file: "ours/main.ts", args: [name] });

/** A norm and the gated MLP behind it. */
export const mlpSubject: Subject = {
  name: "mlp",
  about:
    "RMSNorm and gated MLP (tokens × hidden × intermediate). `fused` is examples/rmsnorm-mlp, `raw` a fused " +
    "version written for each shape.",
  run: async (effort, say) => {
    const shapes = effort.quick
      ? [[1, 64, 172], [64, 64, 172]]
      : [[1, 64, 172], [1, 256, 688], [1, 512, 1408], [64, 64, 172], [64, 256, 688], [64, 512, 1408]];
    const programs = [
      RAW,
      ours("unfused"),
      ours("fused"),
      ours("unfused captured"),
      ours("fused captured"),
      ...(effort.peers ? PEERS : []),
    ];
    return { rows: await compare("mlp", shapes.map(block), programs, effort, say) };
  },
};

// ---------------------------------------------------------------------------

function block([rows, hidden, inner]: number[]): Case {
  return {
    name: `${rows} × ${hidden} × ${inner}`,
    params: { rows, hidden, inner },
    size: rows * hidden,
    reference: (at) => {
      const [x, scale] = [numbers(rows * hidden, 1), numbers(hidden, 2)];
      const gate = numbers(inner * hidden, 3, 1 / Math.sqrt(hidden));
      const up = numbers(inner * hidden, 4, 1 / Math.sqrt(hidden));
      const down = numbers(hidden * inner, 5, 1 / Math.sqrt(inner));
      const known = new Map<number, Float64Array>();
      return at.map((i) => {
        const row = Math.floor(i / hidden);
        const active = known.get(row) ??
          activations(x.subarray(row * hidden, (row + 1) * hidden), scale, gate, up);
        known.set(row, active);
        return active.reduce((s, a, n) => s + a * down[i % hidden * inner + n], 0);
      });
    },
  };
}

function activations(
  x: Float32Array,
  scale: Float32Array,
  gate: Float32Array,
  up: Float32Array,
): Float64Array {
  const n = x.length;
  const factor = 1 / Math.sqrt(x.reduce((s, v) => s + v * v, 0) / n + 1e-5);
  const made = new Float64Array(gate.length / n);
  for (let c = 0; c < made.length; c++) {
    let [g, u] = [0, 0];
    for (let k = 0; k < n; k++) {
      const v = x[k] * factor * scale[k];
      g += v * gate[c * n + k];
      u += v * up[c * n + k];
    }
    made[c] = g / (1 + Math.exp(-g)) * u;
  }
  return made;
}
