import { WeightRenaming } from "../../authoring/mod.ts";
import type { CausalLM } from "../causal_lm.ts";
import type { Family } from "../family.ts";
import { isOldBuffer } from "../old_keys.ts";
import { type GPT2Config, readGPT2Config } from "./config.ts";
import { GPT2LM } from "./modules.ts";

/** GPT-2: learned positions, norms with biases, and weights that lie the other way round than a Linear's. */
export const gpt2: Family<GPT2Config, CausalLM> = {
  types: ["gpt2"],
  read: readGPT2Config,
  build: (config) => new GPT2LM(config),
  // The first checkpoints were saved from the model without its head.
  mapping(keys) {
    const tops = new Set(Array.from(keys, (key) => key.slice(0, key.indexOf("."))));
    const found = ["wte", "wpe", "h", "ln_f"].filter((top) => tops.has(top));
    if (tops.has("transformer") || found.length === 0) return undefined;
    return found.map((top) => new WeightRenaming(`${top}.**`, `transformer.${top}.**`));
  },
  isOldBuffer,
};
