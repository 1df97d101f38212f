import { dispatch, shader, workgroups } from "../gpu/mod.ts";
import { referenceValues, type Tensor } from "../tensor/mod.ts";
import { shapeError } from "./checks.ts";
import { MOST_ROUNDS, onSoftware } from "./dispatch/adapter.ts";

import { dispatchLines, lineShaders } from "./dispatch/lines.ts";
import { checkDType, FLOATS, operator } from "./operator.ts";
import code from "./wgsl/topk_mask.wgsl" with { type: "text" };
import searchCode from "./wgsl/topk_search.wgsl" with { type: "text" };

const shaders = lineShaders("topk_mask", code, "f32");
const search = shader({ name: "topk_search.wgsl", code: searchCode });

/**
 * In longer rows the k-th largest is searched, in 35 walks of 256 lanes; in others each element is compared with each.
 * On llvmpipe 2×256 take 0.2 ms by comparing and 1.5 by searching, 2×1024 2.8 and 2.2, 64×1024 135 and 62.
 */
const MOST_COMPARED = 1000;

/** Where the rounds of a search would be too many for a software adapter. */
const MOST_SEARCHED = 256 * Math.floor(MOST_ROUNDS / 36);

/**
 * The k largest of each row, and zeros in place of the others: how much a token goes to each expert.
 *
 * Of equal ones the first is larger, and NaN is larger than all: it stays, where it can be seen. A row that sums to
 * zero is not divided.
 *
 * @param probabilities f32 or f16 `[N, E]`, not negative.
 * @param k How many stay, from 1 to E.
 * @param normalize Whether those that stay are divided by their sum.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { topkMask } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([[0.125, 0.5, 0.25, 0.125]]), out = topkMask(x, 2, false);
 * assertEquals([...await out.data()], [0, 0.5, 0.25, 0]);
 * ```
 */
export const topkMask: (probabilities: Tensor, k: number, normalize: boolean) => Tensor = operator<
  [probabilities: Tensor, k: number, normalize: boolean]
>({
  name: "topkMask",
  infer: (x, k) => {
    checkDType("run topkMask", x, FLOATS);
    if (x.rank !== 2) shapeError("run topkMask", x.describe(), "It must be [N, E].");
    if (!Number.isInteger(k) || k < 1 || k > x.shape[1]) {
      shapeError("run topkMask", `the ${k} largest of ${x.shape[1]}`, `Give a k from 1 to ${x.shape[1]}.`);
    }
    return { shape: x.shape, dtype: x.dtype };
  },
  webgpu: (out, x, k, normalize) => {
    const [lines, count] = x.shape;
    const how = { k, normalize: normalize ? 1 : 0 };
    if (count > MOST_COMPARED) {
      if (count > MOST_SEARCHED && onSoftware()) {
        shapeError("run topkMask", x.describe(), `A software adapter searches ${MOST_SEARCHED} at most.`);
      }
      dispatch(search, { x, out, params: { lines, count, ...how } }, {
        workgroups: workgroups(lines, 1),
        types: { T: x.dtype },
      });
      return;
    }
    dispatchLines(shaders, {
      x,
      around: { outer: lines, count, inner: 1 },
      bindings: { out },
      params: () => how,
      scalar: true,
      rounds: count + 1,
    });
  },
  reference: (out, x, k, normalize) => {
    const [rows, count] = x.shape;
    for (let row = 0; row < rows; row++) {
      const v = referenceValues(x).subarray(row * count, (row + 1) * count);
      const order = Array.from(v.keys()).sort((i, j) => larger(v[i], v[j]) || i - j).slice(0, k);
      const sum = order.reduce((s, i) => s + v[i], 0);
      for (const i of order) out[row * count + i] = normalize && sum !== 0 ? v[i] / sum : v[i];
    }
  },
});

// ---------------------------------------------------------------------------

/** Below 0 where `a` comes before `b`. */
function larger(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
  return a > b ? -1 : a < b ? 1 : 0;
}
