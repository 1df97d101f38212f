import { referenceValues, type Tensor, type TensorSpec } from "../tensor/mod.ts";
import { checkExactShape, checkRank, checkSameDType } from "./checks.ts";
import { dispatchLines, lineShaders } from "./dispatch/lines.ts";
import { checkDType, FLOATS, operator } from "./operator.ts";
import layerNormCode from "./wgsl/layer_norm.wgsl" with { type: "text" };
import rmsNormCode from "./wgsl/rms_norm.wgsl" with { type: "text" };

const rmsNormShaders = lineShaders("rms_norm", rmsNormCode, "f32");
const layerNormShaders = lineShaders("layer_norm", layerNormCode, "vec4<f32>");

/**
 * `x / √(mean(x²) + eps) · (weight + offset)` over the last dimension (Zhang and Sennrich, 2019).
 *
 * @param x f32 or f16 `[..., H]`.
 * @param weight The same dtype, `[H]`.
 * @param eps Added to the mean square.
 * @param offset Added to the weight, in f32: 1 in Gemma. Defaults to 0.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { rmsNorm } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([[3, 4]]), weight = Tensor.from([1, 2]), out = rmsNorm(x, weight, 1e-6);
 * await assertClose(out, [0.84853, 2.26274], { atol: 1e-4 });
 * ```
 */
export const rmsNorm: (x: Tensor, weight: Tensor, eps: number, offset?: number) => Tensor = operator<
  [x: Tensor, weight: Tensor, eps: number, offset?: number]
>({
  name: "rmsNorm",
  infer: (x, weight) => inferNorm("run rmsNorm", x, weight, undefined),
  webgpu: (out, x, weight, eps, offset = 0) =>
    dispatchLines(rmsNormShaders, { x, bindings: { weight, out }, ...rowsOf(x, eps, { offset }) }),
  reference: (out, x, weight, eps, offset = 0) => {
    const [v, w, n] = [referenceValues(x), referenceValues(weight), weight.size];
    for (let start = 0; start < v.length; start += n) {
      let squares = 0;
      for (let i = 0; i < n; i++) squares += v[start + i] ** 2;
      const factor = 1 / Math.sqrt(squares / n + eps);
      for (let i = 0; i < n; i++) out[start + i] = v[start + i] * factor * (w[i] + offset);
    }
  },
});

/**
 * `(x - mean(x)) / √(var(x) + eps) · weight + bias` over the last dimension (Ba, Kiros and Hinton, 2016).
 *
 * @param x f32 or f16 `[..., H]`.
 * @param weight The same dtype, `[H]`.
 * @param bias The same dtype, `[H]`, or undefined for none.
 * @param eps Added to the variance (that of all H values, divided by H).
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { layerNorm } from "@kernelwright/sdk/ops";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([[1, 3]]), weight = Tensor.from([1, 1]), bias = Tensor.from([0, 10]);
 * using out = layerNorm(x, weight, bias, 0);
 * await assertClose(out, [-1, 11]);
 * ```
 */
export const layerNorm: (x: Tensor, weight: Tensor, bias: Tensor | undefined, eps: number) => Tensor =
  operator<
    [x: Tensor, weight: Tensor, bias: Tensor | undefined, eps: number]
  >({
    name: "layerNorm",
    infer: (x, weight, bias) => inferNorm("run layerNorm", x, weight, bias),
    webgpu: (out, x, weight, bias, eps) =>
      dispatchLines(layerNormShaders, {
        x,
        bindings: { weight, bias: bias ?? weight, out },
        ...rowsOf(x, eps),
        constants: { HAS_BIAS: bias ? 1 : 0 },
      }),
    reference: (out, x, weight, bias, eps) => {
      const [v, w, n] = [referenceValues(x), referenceValues(weight), weight.size];
      const b = bias ? referenceValues(bias) : undefined;
      for (let start = 0; start < v.length; start += n) {
        const row = v.subarray(start, start + n);
        const mean = row.reduce((s, a) => s + a, 0) / n;
        const variance = row.reduce((s, a) => s + (a - mean) ** 2, 0) / n;
        for (let i = 0; i < n; i++) {
          out[start + i] = (row[i] - mean) / Math.sqrt(variance + eps) * w[i] + (b ? b[i] : 0);
        }
      }
    },
  });

// ---------------------------------------------------------------------------

function inferNorm(action: string, x: Tensor, weight: Tensor, bias: Tensor | undefined): TensorSpec {
  checkDType(action, x, FLOATS);
  checkRank(action, x, 1, "[..., H]");
  checkSameDType(action, x, weight, ...(bias ? [bias] : []));
  checkExactShape(action, "the weight", weight, x.shape.slice(-1));
  if (bias) checkExactShape(action, "the bias", bias, x.shape.slice(-1));
  return { shape: x.shape, dtype: x.dtype };
}

function rowsOf(x: Tensor, eps: number, more: Readonly<Record<string, number>> = {}) {
  const count = x.shape[x.rank - 1];
  return {
    around: { outer: x.size / count, count, inner: 1 },
    params: (width: number) => ({ count, share: width / 4, eps, ...more }),
  };
}
