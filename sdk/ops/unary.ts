import { dispatch, shader, workgroups } from "../gpu/mod.ts";
import { referenceValues, type Tensor } from "../tensor/mod.ts";

import { checkDType, FLOATS, operator } from "./operator.ts";
import { erfc } from "./erf.ts";
import code from "./wgsl/unary.wgsl" with { type: "text" };

const unaryShader = shader({ name: "unary.wgsl", code });

/** An element-wise operator; `id` is its case in unary.wgsl, `f` its formula in float64. */
function unary(name: string, id: number, f: (x: number) => number): (x: Tensor) => Tensor {
  return operator<[x: Tensor]>({
    name,
    infer: (x) => {
      checkDType(`run ${name}`, x, FLOATS);
      return { shape: x.shape, dtype: x.dtype };
    },
    webgpu: (out, x) => run(id, out, x, 1),
    reference: (out, x) => referenceValues(x).forEach((v, i) => out[i] = f(v)),
  });
}

/**
 * `x · sigmoid(x)`, also called swish.
 *
 * @param x f32 or f16, any shape.
 * @throws KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { silu } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([-1, 0, 1]), out = silu(x);
 * await assertClose(out, [-0.26894, 0, 0.73106], { atol: 1e-4 });
 * ```
 */
export const silu: (x: Tensor) => Tensor = unary("silu", 0, (x) => x * logistic(x));

/**
 * `x · Φ(x)` with the normal distribution's Φ: the exact GELU (Hendrycks and Gimpel, 2016).
 *
 * @param x f32 or f16, any shape.
 * @throws KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { gelu } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([-1, 0, 1]), out = gelu(x);
 * await assertClose(out, [-0.15866, 0, 0.84134], { atol: 1e-4 });
 * ```
 */
export const gelu: (x: Tensor) => Tensor = unary("gelu", 1, (x) => x * 0.5 * erfc(-x / Math.SQRT2));

/**
 * `0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))`: the GELU that is approximated with tanh (same paper).
 *
 * @param x f32 or f16, any shape.
 * @throws KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { geluTanh } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([-1, 0, 1]), out = geluTanh(x);
 * await assertClose(out, [-0.15881, 0, 0.84119], { atol: 1e-4 });
 * ```
 */
export const geluTanh: (x: Tensor) => Tensor = unary(
  "geluTanh",
  2,
  (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
);

/**
 * `max(x, 0)`; NaN stays NaN.
 *
 * @param x f32 or f16, any shape.
 * @throws KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { relu } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([-1, 0, 2]), out = relu(x);
 * assertEquals([...await out.data()], [0, 0, 2]);
 * ```
 */
export const relu: (x: Tensor) => Tensor = unary("relu", 3, (x) => x < 0 ? 0 : x);

/**
 * `1 / (1 + exp(-x))`.
 *
 * @param x f32 or f16, any shape.
 * @throws KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { sigmoid } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([-1, 0, 1]), out = sigmoid(x);
 * await assertClose(out, [0.26894, 0.5, 0.73106], { atol: 1e-4 });
 * ```
 */
export const sigmoid: (x: Tensor) => Tensor = unary("sigmoid", 4, logistic);

/**
 * The hyperbolic tangent; ±1 for large arguments.
 *
 * @param x f32 or f16, any shape.
 * @throws KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { tanh } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([-1, 0, 1]), out = tanh(x);
 * await assertClose(out, [-0.76159, 0, 0.76159], { atol: 1e-4 });
 * ```
 */
export const tanh: (x: Tensor) => Tensor = unary("tanh", 5, Math.tanh);

/**
 * `e` to the power of `x`; infinity where the dtype cannot hold it, 0 for very negative `x`.
 *
 * @param x f32 or f16, any shape.
 * @throws KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { exp } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([0, 1]), out = exp(x);
 * await assertClose(out, [1, 2.71828], { atol: 1e-4 });
 * ```
 */
export const exp: (x: Tensor) => Tensor = unary("exp", 6, Math.exp);

/**
 * `-x`.
 *
 * @param x f32 or f16, any shape.
 * @throws KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { neg } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([1, -2]), out = neg(x);
 * assertEquals([...await out.data()], [-1, 2]);
 * ```
 */
export const neg: (x: Tensor) => Tensor = unary("neg", 7, (x) => -x);

/**
 * The square root; NaN for negative numbers.
 *
 * @param x f32 or f16, any shape.
 * @throws KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { sqrt } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([4, 9]), out = sqrt(x);
 * await assertClose(out, [2, 3]);
 * ```
 */
export const sqrt: (x: Tensor) => Tensor = unary("sqrt", 8, Math.sqrt);

/**
 * `x · factor`.
 *
 * @param x f32 or f16, any shape.
 * @param factor A number that is fixed when the operator is recorded.
 * @throws KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { scale } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([1, 2]), out = scale(x, 0.5);
 * assertEquals([...await out.data()], [0.5, 1]);
 * ```
 */
export const scale: (x: Tensor, factor: number) => Tensor = operator<[x: Tensor, factor: number]>({
  name: "scale",
  infer: (x) => {
    checkDType("run scale", x, FLOATS);
    return { shape: x.shape, dtype: x.dtype };
  },
  webgpu: (out, x, factor) => run(9, out, x, factor),
  reference: (out, x, factor) => referenceValues(x).forEach((v, i) => out[i] = v * factor),
});

// ---------------------------------------------------------------------------

function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function run(id: number, out: Tensor, x: Tensor, factor: number): void {
  dispatch(unaryShader, { x, out, params: { count: x.size, factor } }, {
    workgroups: workgroups(x.size),
    constants: { OP: id },
    types: { T: x.dtype },
  });
}
