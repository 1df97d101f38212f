import {
  convert,
  dispatch,
  kernel,
  Layout,
  layout,
  pad,
  type Parameter,
  parameter,
  replaces,
  shader,
  Tensor,
  tuned,
  workgroups,
} from "@kernelwright/sdk";
import { RMSNorm } from "@kernelwright/sdk/nn";
import code from "./rms_norm.wgsl" with { type: "text" };
import vec4Code from "./rms_norm_vec4.wgsl" with { type: "text" };

const site = replaces(RMSNorm);
const norm = shader({ name: "rms_norm.wgsl", code });
const normVec4 = shader({ name: "rms_norm_vec4.wgsl", code: vec4Code });

/** The weight in whole vec4s, so that the shader needs no tail for it. */
@layout({ site, conversions: [convert("weight", "scale", [pad({ multipleOf: 4 })])] })
export class CustomRMSNormLayout extends Layout {
  /** `[hidden_size]`, padded with zeros to a multiple of 4. */
  scale: Parameter;

  /** Takes exactly what RMSNorm's constructor takes. */
  constructor(readonly hidden_size: number, readonly eps = 1e-6) {
    super();
    this.scale = parameter([Math.ceil(hidden_size / 4) * 4]);
  }
}

/** `x / sqrt(mean(x²) + eps) · weight`, several rows to a workgroup and one row to an invocation. */
@kernel({
  site,
  layout: CustomRMSNormLayout,
  version: "0.1.0",
  requires: { dtypes: ["f32", "f16"] },
  // Few cores want few large workgroups, many want many: `tune(model, { inputs })` finds out.
  tune: { ROWS: [4, 16, 64] },
})
export class CustomRMSNorm {
  /** `[..., hidden_size]` → the same shape. */
  forward(this: CustomRMSNormLayout, hidden_states: Tensor): Tensor {
    const rows = this.hidden_size === 0 ? 0 : hidden_states.size / this.hidden_size;
    const { ROWS } = tuned({ ROWS: 16 });
    const out = Tensor.empty(hidden_states.shape, { dtype: hidden_states.dtype });
    dispatch(this.hidden_size % 4 === 0 ? normVec4 : norm, {
      x: hidden_states,
      scale: this.scale,
      out,
      params: { rows, cols: this.hidden_size, eps: this.eps },
    }, {
      workgroups: workgroups(rows, ROWS),
      constants: { ROWS },
      types: { T: hidden_states.dtype },
    });
    return out;
  }
}
