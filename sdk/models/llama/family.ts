import { defineFamily } from "../family.ts";

/** Llama: grouped queries, rotary positions, a gated MLP; biases where the config says so. */
export const llama = defineFamily({
  types: ["llama"],
  keys: { used: ["attention_bias", "mlp_bias"] },
});
