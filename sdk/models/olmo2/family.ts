import { defineFamily } from "../family.ts";
import { Olmo2DecoderLayer } from "./modules.ts";

/** OLMo 2: norms after attention and the MLP, and over all heads of q and k at once. */
export const olmo2 = defineFamily({
  types: ["olmo2"],
  keys: { used: ["attention_bias"] },
  rms_norm_eps: 1e-5,
  layer: (config, index) => new Olmo2DecoderLayer(config, index),
});
