import {
  concatenate,
  convert,
  fusesParallel,
  Layout,
  layout,
  type Parameter,
  parameter,
} from "@kernelwright/sdk";
import { Linear } from "@kernelwright/sdk/nn";

/** The three are fed the same input; each hands on a result of its own. */
export const site = fusesParallel({ q: Linear }, { k: Linear }, { v: Linear });

/** The rows of the three weights behind each other. They are uneven where queries share keys and values. */
@layout({
  site,
  // A function, since only some models have biases.
  conversions: (q) => [
    convert(["q.weight", "k.weight", "v.weight"], "weight", [concatenate(0)]),
    ...(q.bias ? [convert(["q.bias", "k.bias", "v.bias"], "bias", [concatenate(0)])] : []),
  ],
  accepts: (q, k, v) => {
    if (q.in_features % 4 !== 0) {
      return `in_features is ${q.in_features}, and the kernel loads 4 numbers at once`;
    }
    return [k, v].every((p) => (p.bias === undefined) === (q.bias === undefined)) ||
      "some of the projections have a bias and others have none";
  },
})
export class QKVParallelLayout extends Layout {
  /** q above k above v, `[q + k + v, in_features]`. */
  weight: Parameter;
  /** In the same order, `[q + k + v]`, if there is one. */
  bias?: Parameter;
  /** How many rows each of the three has. */
  readonly sizes: readonly [q: number, k: number, v: number];

  /** Takes exactly the fused modules, in their order. */
  constructor(q: Linear, k: Linear, v: Linear) {
    super();
    this.sizes = [q.out_features, k.out_features, v.out_features];
    const rows = this.sizes.reduce((a, b) => a + b, 0);
    this.weight = parameter([rows, q.in_features]);
    if (q.bias) this.bias = parameter([rows]);
  }
}
