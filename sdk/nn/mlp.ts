import type { Tensor } from "../tensor/mod.ts";
import { type GatedActivation, gatedActivation } from "./activations.ts";
import { layer } from "./layer.ts";
import { Linear } from "./linear.ts";
import { Module } from "./module.ts";

/**
 * The gated feed-forward block of Llama, Qwen and Mistral: `down(act(gate(x)) · up(x))`.
 *
 * @example
 * ```ts
 * import { Tensor } from "@kernelwright/sdk";
 * import { LlamaMLP } from "@kernelwright/sdk/nn";
 * import { assertEquals } from "@std/assert";
 *
 * const mlp = new LlamaMLP(64, 172);
 * using x = Tensor.empty([1, 5, 64], { device: "meta" });
 * assertEquals(mlp.call(x).shape, [1, 5, 64]);
 * assertEquals([...mlp.stateDict().keys()], ["gate_proj.weight", "up_proj.weight", "down_proj.weight"]);
 * ```
 */
@layer("LlamaMLP")
export class LlamaMLP extends Module {
  /** `[intermediate_size, hidden_size]`. */
  gate_proj: Linear;
  /** `[intermediate_size, hidden_size]`. */
  up_proj: Linear;
  /** `[hidden_size, intermediate_size]`. */
  down_proj: Linear;
  /** `(gate, up) → act(gate) · up`. */
  act_fn: GatedActivation;

  /**
   * Builds the module; its parameters are on the meta device.
   *
   * @param hidden_act The activation's name as in config.json.
   * @param bias Whether the projections have biases.
   */
  constructor(
    readonly hidden_size: number,
    readonly intermediate_size: number,
    readonly hidden_act = "silu",
    bias = false,
  ) {
    super();
    this.gate_proj = new Linear(hidden_size, intermediate_size, bias);
    this.up_proj = new Linear(hidden_size, intermediate_size, bias);
    this.down_proj = new Linear(intermediate_size, hidden_size, bias);
    this.act_fn = gatedActivation(hidden_act);
  }

  /** `[..., hidden_size]` → `[..., hidden_size]`. */
  override forward(x: Tensor): Tensor {
    const gate = this.gate_proj.call(x);
    const up = this.up_proj.call(x);
    return this.down_proj.call(this.act_fn.call(gate, up));
  }
}
