import { defineFamily } from "../family.ts";
import { joined, spellings } from "../other_names.ts";
import { Phi3DecoderLayer, Phi3SlidingWindowDecoderLayer } from "./modules.ts";

/** Phi-3 and Phi-4: Llama with q, k and v in one matrix, and gate and up in one; a part of each head may not turn. */
export const phi3 = defineFamily({
  types: ["phi3"],
  keys: {
    used: ["sliding_window", "partial_rotary_factor"],
    // Where the code is that others run; ours is the published one.
    harmless: ["auto_map"],
    refused: { interpolate_factor: [1], full_attn_mod: [1] },
  },
  partialRotary: true,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  rope: { original: 4096, kinds: { su: "longrope", yarn: "longrope" } },
  window: ({ sliding_window }) =>
    sliding_window === undefined ? undefined : { width: Number(sliding_window), slides: () => true },
  check({ rope: { scaling } }, refuse) {
    if (scaling && scaling.rope_type !== "longrope") {
      refuse("rope_scaling", `the type "${scaling.rope_type}" is not supported for phi3`);
    }
  },
  // As Llama's code has them.
  mapping: spellings(
    joined(["q", "k", "v"].map((p) => `self_attn.${p}_proj.weight`), "self_attn.qkv_proj.weight"),
    joined(["mlp.gate_proj.weight", "mlp.up_proj.weight"], "mlp.gate_up_proj.weight"),
  ),
  // Keys in a cache were turned by the short factors.
  complete: ({ rope: { scaling } }) => ({
    restart_after: scaling?.rope_type === "longrope" ? scaling.original_max_position_embeddings : undefined,
  }),
  layer: (config, index) => {
    const window = config.windows?.[index];
    return window === undefined
      ? new Phi3DecoderLayer(config, index)
      : new Phi3SlidingWindowDecoderLayer(config, index, window);
  },
});
