import { defineFamily } from "../family.ts";

/** Mistral: Llama without biases. No `sliding_window` means 4096, null means none. */
export const mistral = defineFamily({
  types: ["mistral"],
  keys: { used: ["sliding_window"] },
  window: ({ sliding_window }, source) =>
    source.sliding_window === null
      ? undefined
      : { width: Number(sliding_window ?? 4096), slides: () => true },
});
