import { checkArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import { gelu, geluTanh, mul, relu, scale, sigmoid, silu, tanh } from "../ops/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { layer } from "./layer.ts";
import { Module } from "./module.ts";

/**
 * `x · sigmoid(x)` (Ramachandran et al. 2017).
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { SiLU } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([-1, 0, 1]), out = new SiLU().call(x);
 * await assertClose(out, [-0.2689, 0, 0.7311], { atol: 1e-4 });
 * ```
 */
@layer("SiLU")
export class SiLU extends Module {
  /** Any shape → the same shape. */
  override forward(x: Tensor): Tensor {
    return silu(x);
  }
}

/**
 * `x · Φ(x)` (Hendrycks and Gimpel 2016), exact.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { GELU } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([-1, 0, 1]), out = new GELU().call(x);
 * await assertClose(out, [-0.1587, 0, 0.8413], { atol: 1e-4 });
 * ```
 */
@layer("GELU")
export class GELU extends Module {
  /** Any shape → the same shape. */
  override forward(x: Tensor): Tensor {
    return gelu(x);
  }
}

/**
 * `x · Φ(x)` by `tanh`: `0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))` (Hendrycks and Gimpel 2016).
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { GELUTanh } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([-1, 0, 1]), out = new GELUTanh().call(x);
 * await assertClose(out, [-0.1588, 0, 0.8412], { atol: 1e-4 });
 * ```
 */
@layer("GELUTanh")
export class GELUTanh extends Module {
  /** Any shape → the same shape. */
  override forward(x: Tensor): Tensor {
    return geluTanh(x);
  }
}

/**
 * `x · sigmoid(1.702 x)` (Hendrycks and Gimpel 2016; CLIP).
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { QuickGELU } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([-1, 0, 1]), out = new QuickGELU().call(x);
 * await assertClose(out, [-0.1542, 0, 0.8458], { atol: 1e-4 });
 * ```
 */
@layer("QuickGELU")
export class QuickGELU extends Module {
  /** Any shape → the same shape. */
  override forward(x: Tensor): Tensor {
    return mul(x, sigmoid(scale(x, 1.702)));
  }
}

/**
 * `max(x, 0)`.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { ReLU } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([-1, 0, 1]), out = new ReLU().call(x);
 * await assertClose(out, [0, 0, 1], { atol: 1e-4 });
 * ```
 */
@layer("ReLU")
export class ReLU extends Module {
  /** Any shape → the same shape. */
  override forward(x: Tensor): Tensor {
    return relu(x);
  }
}

/**
 * The hyperbolic tangent.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { Tanh } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using x = Tensor.from([-1, 0, 1]), out = new Tanh().call(x);
 * await assertClose(out, [-0.7616, 0, 0.7616], { atol: 1e-4 });
 * ```
 */
@layer("Tanh")
export class Tanh extends Module {
  /** Any shape → the same shape. */
  override forward(x: Tensor): Tensor {
    return tanh(x);
  }
}

/** A module of one tensor to one of the same shape. */
export type Activation = Module & { forward(x: Tensor): Tensor };

/**
 * The activation for a config's `hidden_act`.
 *
 * @throws KW-CONFIG-VALUE for an unknown name.
 *
 * @example
 * ```ts
 * import { activation, SiLU } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(activation("swish") instanceof SiLU, true);
 * ```
 */
export function activation(hidden_act: string): Activation {
  checkArgument("activation(): hidden_act", hidden_act, "a string");
  const cls = ACTIVATIONS[hidden_act];
  if (!Object.hasOwn(ACTIVATIONS, hidden_act)) {
    raise(
      "KW-CONFIG-VALUE",
      `Unknown hidden_act ${JSON.stringify(hidden_act)}`,
      `Known: ${Object.keys(ACTIVATIONS).join(", ")}.`,
    );
  }
  return new cls();
}

const ACTIVATIONS: Readonly<Record<string, new () => Activation>> = {
  gelu: GELU,
  gelu_new: GELUTanh,
  gelu_pytorch_tanh: GELUTanh,
  quick_gelu: QuickGELU,
  relu: ReLU,
  silu: SiLU,
  swish: SiLU,
  tanh: Tanh,
};

/** The names that {@linkcode activation} knows. */
export const ACTIVATION_NAMES: readonly string[] = Object.keys(ACTIVATIONS);

/**
 * A module `(gate, up) → act(gate) · up`.
 *
 * @example
 * ```ts
 * import { type Tensor } from "@kernelwright/sdk";
 * import { GatedActivation } from "@kernelwright/sdk/nn";
 * import { mul, sigmoid } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * class SigmoidAndMul extends GatedActivation { // GLU
 *   override forward(gate: Tensor, up: Tensor): Tensor {
 *     return mul(sigmoid(gate), up);
 *   }
 * }
 * assertEquals(new SigmoidAndMul() instanceof GatedActivation, true);
 * ```
 */
export abstract class GatedActivation extends Module {
  /** Two tensors of one shape → that shape. */
  abstract override forward(gate: Tensor, up: Tensor): Tensor;
}

/**
 * `silu(gate) · up`: the middle of a SwiGLU block (Shazeer 2020).
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { SiluAndMul } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using gate = Tensor.from([-1, 0, 1]), up = Tensor.from([2, 2, 2]);
 * using out = new SiluAndMul().call(gate, up);
 * await assertClose(out, [-0.5379, 0, 1.4621], { atol: 1e-4 });
 * ```
 */
@layer("SiluAndMul")
export class SiluAndMul extends GatedActivation {
  /** Two tensors of one shape → that shape. */
  override forward(gate: Tensor, up: Tensor): Tensor {
    return mul(silu(gate), up);
  }
}

/**
 * `gelu(gate) · up`: the middle of a GEGLU block, exact or with tanh.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { GeluAndMul } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using gate = Tensor.from([-1, 0, 1]), up = Tensor.from([2, 2, 2]);
 * using out = new GeluAndMul().call(gate, up);
 * await assertClose(out, [-0.3173, 0, 1.6827], { atol: 1e-4 });
 * ```
 */
@layer("GeluAndMul")
export class GeluAndMul extends GatedActivation {
  /**
   * Builds the module.
   *
   * @param approximate Whether to use the tanh approximation.
   */
  constructor(readonly approximate = false) {
    super();
  }

  /** Two tensors of one shape → that shape. */
  override forward(gate: Tensor, up: Tensor): Tensor {
    return mul(this.approximate ? geluTanh(gate) : gelu(gate), up);
  }
}

/**
 * `relu(gate) · up`.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { ReluAndMul } from "@kernelwright/sdk/nn";
 * import { assertClose } from "@kernelwright/sdk/testing";
 *
 * await openGpu();
 * using gate = Tensor.from([-1, 0, 1]), up = Tensor.from([2, 2, 2]);
 * using out = new ReluAndMul().call(gate, up);
 * await assertClose(out, [0, 0, 2], { atol: 1e-4 });
 * ```
 */
@layer("ReluAndMul")
export class ReluAndMul extends GatedActivation {
  /** Two tensors of one shape → that shape. */
  override forward(gate: Tensor, up: Tensor): Tensor {
    return mul(relu(gate), up);
  }
}

/**
 * The gated activation for a config's `hidden_act`.
 *
 * @throws KW-CONFIG-VALUE for an unknown name.
 *
 * @example
 * ```ts
 * import { GeluAndMul, gatedActivation } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(gatedActivation("gelu") instanceof GeluAndMul, true);
 * ```
 */
export function gatedActivation(hidden_act: string): GatedActivation {
  checkArgument("gatedActivation(): hidden_act", hidden_act, "a string");
  switch (hidden_act) {
    case "silu":
    case "swish":
      return new SiluAndMul();
    case "gelu":
      return new GeluAndMul();
    case "gelu_new":
    case "gelu_pytorch_tanh":
      return new GeluAndMul(true);
    case "relu":
      return new ReluAndMul();
    default:
      raise(
        "KW-CONFIG-VALUE",
        `Unknown hidden_act ${JSON.stringify(hidden_act)}`,
        "Known: silu, gelu, gelu_new, gelu_pytorch_tanh, relu.",
      );
  }
}
