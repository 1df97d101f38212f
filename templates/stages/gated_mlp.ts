import type { Tensor } from "@kernelwright/sdk";
import { activation } from "./activation.ts";
import { linear } from "./linear.ts";

/** `down(silu(gate(x)) · up(x))`: three products and an activation. To improve: gate and up in one matrix. */
export function gatedMlp(x: Tensor, gate: Tensor, up: Tensor, down: Tensor): Tensor {
  return linear(activation("silu", linear(x, gate), linear(x, up)), down);
}
