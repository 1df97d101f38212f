import { dispatch, kernel, replaces, shader, Tensor, workgroups } from "@kernelwright/sdk";
import { SiluAndMul } from "@kernelwright/sdk/nn";
import code from "./swiglu.wgsl" with { type: "text" };

const swiglu = shader({ name: "swiglu.wgsl", code });

/** `silu(gate) · up` in one dispatch instead of two. There are no parameters, and so no layout. */
@kernel({ site: replaces(SiluAndMul), version: "0.1.0", requires: { dtypes: ["f32", "f16"] } })
export class SwiGLU {
  /** Two tensors of one shape → that shape. */
  forward(this: SiluAndMul, gate: Tensor, up: Tensor): Tensor {
    const out = Tensor.empty(gate.shape, { dtype: gate.dtype });
    dispatch(swiglu, { gate, up, out, params: { size: gate.size } }, {
      workgroups: workgroups(gate.size, 256),
      types: { T: gate.dtype },
    });
    return out;
  }
}
