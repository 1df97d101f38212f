import { dispatch, type Shader, shader, workgroups } from "../gpu/mod.ts";
import { type DType, referenceValues, type Tensor } from "../tensor/mod.ts";

import { checkDType, operator } from "./operator.ts";
import { raise } from "../errors.ts";
import code from "./wgsl/cast.wgsl" with { type: "text" };

/** Copies numbers into another dtype. */
export const castShader: Shader = shader({ name: "cast.wgsl", code });

/** The dtypes that shaders know as numbers. */
const NUMBERS: readonly DType[] = ["f32", "f16", "i32", "u32"];

/**
 * The same numbers in another dtype: floats are rounded to the nearest, and towards zero on the way to integers.
 *
 * What an integer dtype cannot hold (a fraction aside) is up to the adapter.
 *
 * @param x f32, f16, i32 or u32, any shape.
 * @param dtype One of the same four.
 * @throws KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { cast } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([1.5, -2.7]), out = cast(x, "i32");
 * assertEquals([...await out.data()], [1, -2]);
 * ```
 */
export const cast: (x: Tensor, dtype: DType) => Tensor = operator<[x: Tensor, dtype: DType]>({
  name: "cast",
  infer: (x, dtype) => {
    checkDType(`cast to ${dtype}`, x, NUMBERS);
    if (!NUMBERS.includes(dtype)) {
      raise(
        "KW-TENSOR-DTYPE",
        `Cannot cast ${x.describe()} to ${dtype}`,
        `Give one of ${NUMBERS.join(", ")}.`,
      );
    }
    return { shape: x.shape, dtype };
  },
  webgpu: (out, x) =>
    dispatch(castShader, { x, out, count: x.size }, {
      workgroups: workgroups(x.size),
      types: { From: x.dtype, To: out.dtype },
    }),
  reference: (out, x, dtype) => referenceValues(x).forEach((v, i) => out[i] = ROUND[dtype]!(v)),
});

// ---------------------------------------------------------------------------

const ROUND: Partial<Record<DType, (v: number) => number>> = {
  f32: Math.fround,
  f16: Math.f16round,
  i32: (v) => Math.min(0x7fffffff, Math.max(-0x80000000, Math.trunc(v))),
  u32: (v) => Math.min(0xffffffff, Math.max(0, Math.trunc(v))),
};
