import { dispatch, shader, Tensor, workgroups } from "@kernelwright/sdk";
import code from "./rms_norm.wgsl" with { type: "text" };

const rmsNormShader = shader({ name: "rms_norm.wgsl", code });

/** `x / sqrt(mean(x²) + eps) · weight` over the last dimension. */
export function rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor {
  const cols = weight.size;
  const rows = cols === 0 ? 0 : x.size / cols;
  const out = Tensor.empty(x.shape, { dtype: x.dtype });
  dispatch(rmsNormShader, { x, weight, out, params: { rows, cols, eps } }, {
    workgroups: workgroups(rows, 16),
    types: { T: x.dtype },
  });
  return out;
}
