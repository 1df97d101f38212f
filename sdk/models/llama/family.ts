import { defineFamily } from "../family.ts";

/** Llama: grouped queries, rotary positions, a gated MLP; biases where the config says so. */
export const llama = defineFamily({
  types: ["llama"],
  keys: { used: ["attention_bias", "mlp_bias", "sliding_window"] },
  window: ({ sliding_window }) =>
    sliding_window === undefined ? undefined : { width: Number(sliding_window), from: 0 },
});
