import { dispatch, shader } from "../gpu/mod.ts";
import { referenceValues, sameShape, Tensor } from "../tensor/mod.ts";
import { checkSameDType, shapeError } from "./checks.ts";
import { MOST_ROUNDS } from "./dispatch/adapter.ts";
import { grid } from "./dispatch/grid.ts";
import { checkDType, FLOATS, operator } from "./operator.ts";
import mergeCode from "./wgsl/difference_merge.wgsl" with { type: "text" };
import partCode from "./wgsl/difference.wgsl" with { type: "text" };

const partShader = shader({ name: "difference.wgsl", code: partCode });
const mergeShader = shader({ name: "difference_merge.wgsl", code: mergeCode });

/** Relative differences are not taken against anything smaller than this. */
export const TINY = 1e-6;

/** Parts of the tensors that are looked at side by side. */
const PARTS = 1024;

/**
 * How far `a` is from `b`, in one walk on the device.
 *
 * @param a f32 or f16, any shape. @param b The same shape and dtype: what is right.
 * @returns f32 `[4]`: the largest `|a - b|`; the largest `|a - b| / max(|b|, 1e-6)`; the flat index of the first one
 * (the earliest of equals; as a float, so rounded above 2^24); how many elements are NaN on one side only. A NaN
 * counts in the last one alone, and two equal infinities do not differ.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 */
export const maxAbsDifference: (a: Tensor, b: Tensor) => Tensor = operator<[a: Tensor, b: Tensor]>({
  name: "maxAbsDifference",
  infer: (a, b) => {
    const action = "run maxAbsDifference";
    checkDType(action, a, FLOATS);
    checkSameDType(action, a, b);
    if (!sameShape(a.shape, b.shape)) {
      shapeError(action, `${a.describe()} and ${b.describe()}`, "The shapes must be equal.");
    }
    return { shape: [4], dtype: "f32" };
  },
  webgpu: (out, a, b) => {
    const parts = Math.max(1, Math.min(PARTS, a.size), Math.ceil(a.size / MOST_ROUNDS));
    using partial = Tensor.empty([parts, 4], { device: "webgpu" });
    dispatch(partShader, { a, b, out: partial, params: { count: a.size, parts, tiny: TINY } }, {
      workgroups: grid(parts),
      types: { T: a.dtype },
    });
    dispatch(mergeShader, { partial, out, parts }, { workgroups: 1 });
  },
  reference: (out, a, b) => {
    const [va, vb] = [referenceValues(a), referenceValues(b)];
    va.forEach((l, i) => {
      const r = vb[i];
      if (Number.isNaN(l) !== Number.isNaN(r)) out[3]++;
      if (Number.isNaN(l) || Number.isNaN(r)) return;
      const d = l === r ? 0 : Math.abs(l - r);
      if (d > out[0]) [out[0], out[2]] = [d, i];
      out[1] = Math.max(out[1], d === Infinity ? d : d / Math.max(Math.abs(r), TINY));
    });
  },
});
