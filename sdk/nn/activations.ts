import { checkArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import { gelu, geluTanh, mul, relu, silu } from "../ops/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { layer } from "./layer.ts";
import { Module } from "./module.ts";

/** `x · sigmoid(x)` (Ramachandran et al. 2017). */
@layer("SiLU")
export class SiLU extends Module {
  /** Any shape → the same shape. */
  override forward(x: Tensor): Tensor {
    return silu(x);
  }
}

/** `x · Φ(x)` (Hendrycks and Gimpel 2016), exact. */
@layer("GELU")
export class GELU extends Module {
  /** Any shape → the same shape. */
  override forward(x: Tensor): Tensor {
    return gelu(x);
  }
}

/** A module `(gate, up) → act(gate) · up`. */
export abstract class GatedActivation extends Module {
  /** Two tensors of one shape → that shape. */
  abstract override forward(gate: Tensor, up: Tensor): Tensor;
}

/** `silu(gate) · up`: the middle of a SwiGLU block (Shazeer 2020). */
@layer("SiluAndMul")
export class SiluAndMul extends GatedActivation {
  /** Two tensors of one shape → that shape. */
  override forward(gate: Tensor, up: Tensor): Tensor {
    return mul(silu(gate), up);
  }
}

/** `gelu(gate) · up`: the middle of a GEGLU block, exact or with tanh. */
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

/** `relu(gate) · up`. */
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
