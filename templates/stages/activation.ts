import { dispatch, shader, Tensor, workgroups } from "@kernelwright/sdk";
import code from "./activation.wgsl" with { type: "text" };

const activationShader = shader({ name: "activation.wgsl", code });
const KINDS = ["silu", "gelu", "relu"];

/** `act(x)`, or `act(x) · up` where there is an up, element by element. */
export function activation(kind: "silu" | "gelu" | "relu", x: Tensor, up?: Tensor): Tensor {
  const out = Tensor.empty(x.shape, { dtype: x.dtype });
  dispatch(activationShader, { x, up: up ?? x, out, params: { size: x.size, gated: up ? 1 : 0 } }, {
    workgroups: workgroups(x.size),
    constants: { KIND: KINDS.indexOf(kind) },
    types: { T: x.dtype },
  });
  return out;
}
