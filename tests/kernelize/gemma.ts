/** Norms that look like Llama's and compute something else. */
import {
  kernel,
  Layout,
  layout,
  makeReplaceable,
  type Parameter,
  parameter,
  rename,
  replaces,
  Tensor,
} from "@kernelwright/sdk";
import { add, rmsNorm } from "@kernelwright/sdk/ops";
import { Module, RMSNorm } from "@kernelwright/sdk/nn";

/** Gemma's norm: one is added to the weight. */
export class GemmaNorm extends RMSNorm {
  override forward(x: Tensor): Tensor {
    const ones = Tensor.from(new Float32Array(this.hidden_size).fill(1), { device: x.device });
    return add(super.forward(x), rmsNorm(x, ones, this.eps));
  }
}
makeReplaceable(GemmaNorm, "RMSNorm");

/** Member by member the same as RMSNorm, so the compiler takes one for the other. */
export class TwinNorm extends Module {
  weight: Parameter;
  constructor(readonly hidden_size: number, readonly eps = 1e-6) {
    super();
    this.weight = parameter([hidden_size]);
  }
  override forward(x: Tensor): Tensor {
    return rmsNorm(x, this.weight, this.eps);
  }
}
makeReplaceable(TwinNorm, "RMSNorm");

/** Somebody else's class: how it was built is not known. */
export class ForeignNorm extends TwinNorm {}
makeReplaceable(ForeignNorm, "ForeignNorm");

const site = replaces(ForeignNorm);

/** For {@linkcode ForeignNorm}. */
@layout({ site, conversions: [rename("weight", "scale")] })
export class ForeignNormLayout extends Layout {
  scale: Parameter;
  constructor(hidden_size: number, readonly eps = 1e-6) {
    super();
    this.scale = parameter([hidden_size]);
  }
}

/** For {@linkcode ForeignNorm}. */
@kernel({ site, layout: ForeignNormLayout })
export class ForeignNormKernel {
  forward(this: ForeignNormLayout, x: Tensor): Tensor {
    return rmsNorm(x, this.scale, this.eps);
  }
}
