import { defineFamily } from "../family.ts";

// Biases of the other projections are weights: a file that lacks them is refused when it is loaded.
const KEYS = ["sliding_window", "use_sliding_window", "max_window_layers", "attention_bias", "mlp_bias"];

/** Windows are off unless `use_sliding_window` says otherwise; then the layers from `max_window_layers` up have one. */
function window(json: Readonly<Record<string, unknown>>, source: Readonly<Record<string, unknown>>) {
  if (json.use_sliding_window !== true || source.sliding_window === null) return undefined;
  const first = Number(json.max_window_layers ?? 28);
  return { width: Number(json.sliding_window ?? 4096), slides: (layer: number) => layer >= first };
}

/** Qwen2: Llama with biases on q, k and v. */
export const qwen2 = defineFamily({ types: ["qwen2"], keys: { used: KEYS }, window, qkv_bias: true });

/** Qwen3: q and k are normalised head by head. */
export const qwen3 = defineFamily({
  types: ["qwen3"],
  keys: { used: KEYS },
  window,
  qk_norm: true,
});
