import { type DeviceName, Tensor } from "../tensor/mod.ts";

/** i32 `[1, tokens]`: 0, 1, 2, … */
export function countTo(tokens: number, device: DeviceName): Tensor {
  if (device === "meta") return Tensor.empty([1, tokens], { dtype: "i32", device });
  return Tensor.from(Int32Array.from({ length: tokens }, (_, i) => i), { shape: [1, tokens], device });
}
