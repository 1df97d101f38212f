import { dispatch, shader, Tensor, workgroups } from "@kernelwright/sdk";
import code from "./layer_norm.wgsl" with { type: "text" };

const layerNormShader = shader({ name: "layer_norm.wgsl", code });

/** `(x − mean) / sqrt(variance + eps) · weight + bias` over the last dimension. */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor | undefined, eps: number): Tensor {
  const cols = weight.size;
  const rows = cols === 0 ? 0 : x.size / cols;
  const out = Tensor.empty(x.shape, { dtype: x.dtype });
  const params = { rows, cols, eps, has_bias: bias ? 1 : 0 };
  dispatch(layerNormShader, { x, weight, bias: bias ?? weight, out, params }, {
    workgroups: workgroups(rows, 16),
    types: { T: x.dtype },
  });
  return out;
}
