import { dispatch, shader, Tensor } from "@kernelwright/sdk";
import code from "./linear.wgsl" with { type: "text" };

const linearShader = shader({ name: "linear.wgsl", code });

/** `x Wᵀ + bias`; the weight is `[out, in]`. */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const [columns, depth] = weight.shape;
  const rows = depth === 0 ? 0 : x.size / depth;
  const out = Tensor.empty([...x.shape.slice(0, -1), columns], { dtype: x.dtype });
  const params = { rows, columns, depth, has_bias: bias ? 1 : 0 };
  dispatch(linearShader, { x, weight, bias: bias ?? weight, out, params }, {
    workgroups: [Math.ceil(columns / 8), Math.ceil(rows / 8)],
    types: { T: x.dtype },
  });
  return out;
}
