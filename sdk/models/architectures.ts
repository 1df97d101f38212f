import type { FolderLocation } from "../checkpoint/mod.ts";
import type { CausalLM } from "./causal_lm.ts";
import type { EncoderModel } from "./encoder.ts";
import { ENCODERS } from "./families.ts";
import type { DecoderFamily } from "./family.ts";
import { loadCausalLM, loadPretrained, type PretrainedOptions } from "./from_pretrained.ts";
import { llama } from "./llama/family.ts";
import { mistral } from "./mistral/family.ts";
import { mixtral } from "./mixtral/family.ts";
import type { PretrainedModel } from "./pretrained_model.ts";
import { qwen2, qwen3 } from "./qwen/family.ts";

/** Loads models of one family. */
export interface Pretrained<M extends PretrainedModel = CausalLM> {
  /**
   * Loads a folder in Hugging Face format: a path, an address, or the files that a user picked; see
   * {@linkcode loadCausalLM}.
   *
   * @throws KW-MODEL-TYPE when the folder's config is of another family, and what {@linkcode loadCausalLM} throws.
   */
  fromPretrained(dir: FolderLocation, options?: PretrainedOptions): Promise<M>;
}

/** Llama (and Mistral, which is the same without its window). */
export const LlamaForCausalLM: Pretrained = family(llama, mistral);
/** Qwen2: Llama with biases on q, k and v. */
export const Qwen2ForCausalLM: Pretrained = family(qwen2);
/** Qwen3: q and k are normalised head by head, and heads have a size of their own. */
export const Qwen3ForCausalLM: Pretrained = family(qwen3);
/** Mixtral: a mixture of experts in place of the MLP. */
export const MixtralForCausalLM: Pretrained = family(mixtral);
/** Whatever the folder's config says. */
export const AutoModelForCausalLM: Pretrained = {
  fromPretrained: (dir, options) => loadCausalLM(dir, options),
};

/** Any encoder: whatever the folder's config says. The model gives the last hidden states. */
export const AutoModel: Pretrained<EncoderModel> = {
  fromPretrained: (dir, options = {}) => loadPretrained(dir, options, ENCODERS, "fromPretrained()"),
};

function family(...families: DecoderFamily[]): Pretrained {
  return {
    fromPretrained: (dir, options = {}) => loadPretrained(dir, options, families, "fromPretrained()"),
  };
}
