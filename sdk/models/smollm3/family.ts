import * as z from "zod";
import { decoderLayer } from "../decoder.ts";
import { defineFamily } from "../family.ts";
import { NoRopeDecoderLayer, NoRopeSlidingWindowDecoderLayer } from "./modules.ts";

type Json = Readonly<Record<string, unknown>>;

/** Whether a layer's heads turn: `no_rope_layers` has 1 where they do; without it, every n-th layer's do not. */
function turns({ no_rope_layers, no_rope_layer_interval }: Json, layer: number): boolean {
  if (Array.isArray(no_rope_layers)) return no_rope_layers[layer] === 1;
  return (layer + 1) % Number(no_rope_layer_interval ?? 4) !== 0;
}

/** SmolLM3: Llama in which some layers know nothing of positions but what the others tell them. */
export const smollm3 = defineFamily({
  types: ["smollm3"],
  keys: {
    used: [
      ..."attention_bias mlp_bias no_rope_layers no_rope_layer_interval".split(" "),
      ..."sliding_window use_sliding_window".split(" "),
    ],
    // In published files, and read by nothing.
    harmless: ["max_window_layers"],
  },
  fields: {
    no_rope_layers: z.array(z.union([z.literal(0), z.literal(1)])).optional(),
    no_rope_layer_interval: z.number().int().positive().optional(),
  },
  rope_theta: 2e6,
  max_position_embeddings: 32768,
  tie_word_embeddings: true,
  // Unless `layer_types` says otherwise, those that do not turn have the window.
  window: (json) =>
    json.use_sliding_window === true && json.sliding_window !== undefined
      ? { width: Number(json.sliding_window), slides: (layer) => !turns(json, layer) }
      : undefined,
  check({ num_hidden_layers: layers, source }, refuse) {
    const given = source!.no_rope_layers;
    if (Array.isArray(given) && given.length < layers) {
      refuse("no_rope_layers", `${given.length} of them for num_hidden_layers ${layers}`);
    }
  },
  complete: ({ num_hidden_layers }, json) => ({
    turns: Array.from({ length: num_hidden_layers }, (_, i) => turns(json, i)),
  }),
  layer(config, index) {
    if (config.turns![index]) return decoderLayer(config, index);
    const window = config.windows?.[index];
    return window === undefined
      ? new NoRopeDecoderLayer(config, index)
      : new NoRopeSlidingWindowDecoderLayer(config, index, window);
  },
});
