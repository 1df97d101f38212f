import type { FolderLocation } from "../checkpoint/mod.ts";
import type { CausalLM } from "./causal_lm.ts";
import type { DecoderFamily } from "./family.ts";
import { loadCausalLM, loadPretrained, type PretrainedOptions } from "./from_pretrained.ts";
import { gpt2 } from "./gpt2/family.ts";
import { llama } from "./llama/family.ts";
import { mistral } from "./mistral/family.ts";
import { mixtral } from "./mixtral/family.ts";
import { phi3 } from "./phi3/family.ts";
import type { PretrainedModel } from "./pretrained_model.ts";
import { qwen2, qwen3 } from "./qwen/family.ts";
import { qwen2Moe, qwen3Moe } from "./qwen_moe/family.ts";
import { smollm3 } from "./smollm3/family.ts";

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
/** Phi-3 and Phi-4: q, k and v in one matrix, gate and up in one. */
export const Phi3ForCausalLM: Pretrained = family(phi3);
/** SmolLM3: Llama in which no position turns the heads of some layers. */
export const SmolLM3ForCausalLM: Pretrained = family(smollm3);
/** Qwen2-MoE: a mixture of experts beside one that all tokens use. */
export const Qwen2MoeForCausalLM: Pretrained = family(qwen2Moe);
/** Qwen3-MoE: Qwen3 with a mixture of experts, in all layers or some. */
export const Qwen3MoeForCausalLM: Pretrained = family(qwen3Moe);
/** GPT-2: learned positions, and an MLP without a gate. */
export const GPT2LMHeadModel: Pretrained = family(gpt2);
/** Whatever the folder's config says. */
export const AutoModelForCausalLM: Pretrained = {
  fromPretrained: (dir, options) => loadCausalLM(dir, options),
};

function family(...families: DecoderFamily[]): Pretrained {
  return {
    fromPretrained: (dir, options = {}) => loadPretrained(dir, options, families, "fromPretrained()"),
  };
}
