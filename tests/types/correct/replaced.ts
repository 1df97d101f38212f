import {
  convert,
  kernel,
  Layout,
  layout,
  makeReplaceable,
  pad,
  type Parameter,
  parameter,
  replaceableFunction,
  replaces,
  type Tensor,
} from "@kernelwright/sdk";
import { silu } from "@kernelwright/sdk/ops";
import { layer, Linear, Module, RMSNorm } from "@kernelwright/sdk/nn";

const site = replaces(RMSNorm);

@layout({ site, conversions: [convert("weight", "scale", [pad({ multipleOf: 4 })])] })
export class NormLayout extends Layout {
  scale: Parameter;
  constructor(readonly hidden_size: number, readonly eps = 1e-6) {
    super();
    this.scale = parameter([Math.ceil(hidden_size / 4) * 4]);
  }
}

@kernel({ site, layout: NormLayout })
export class Norm {
  forward(this: NormLayout, hidden_states: Tensor): Tensor {
    return hidden_states;
  }
}

/** Without a layout: `this` is the module. */
@kernel({ site })
export class NormForward {
  forward(this: RMSNorm, hidden_states: Tensor): Tensor {
    return this.eps > 0 ? hidden_states : this.weight;
  }
}

@layer("Doubling")
class Doubling extends Module {
  override forward(x: Tensor, times: number): Tensor {
    return times > 1 ? x : x.reshape(x.shape);
  }
}

@kernel({ site: replaces(Doubling) })
export class DoublingKernel {
  forward(this: Doubling, x: Tensor, _times: number): Tensor {
    return x;
  }
}

/** A class that one does not own. */
class Foreign extends Module {
  constructor(readonly size: number) {
    super();
  }
  override forward(x: Tensor): Tensor {
    return x;
  }
}
makeReplaceable(Foreign, "Foreign", { argumentsOf: (m) => [m.size] });

const SiluFunction = replaceableFunction("silu", (x: Tensor) => silu(x));
export const act: Module = new SiluFunction();

@kernel({ site: replaces(SiluFunction) })
export class SiluKernel {
  forward(x: Tensor): Tensor {
    return x;
  }
}

export const layers: Module[] = [new Doubling(), new Foreign(3), new Linear(2, 2)];
