import { type FolderLocation, openFolder } from "../checkpoint/mod.ts";
import type { CausalLM } from "./causal_lm.ts";
import type { EncoderModel } from "./encoder.ts";
import { ENCODERS, VISION } from "./families.ts";
import type { DecoderFamily } from "./family.ts";
import { loadCausalLM, loadPretrained, type PretrainedOptions, readFamily } from "./from_pretrained.ts";
import { gemma2, gemma3 } from "./gemma/family.ts";
import { gpt2 } from "./gpt2/family.ts";
import { granite } from "./granite/family.ts";
import { llama } from "./llama/family.ts";
import { mistral } from "./mistral/family.ts";
import { mixtral } from "./mixtral/family.ts";
import { olmo2 } from "./olmo2/family.ts";
import { phi3 } from "./phi3/family.ts";
import type { PretrainedModel } from "./pretrained_model.ts";
import { qwen2, qwen3 } from "./qwen/family.ts";
import { qwen2Moe, qwen3Moe } from "./qwen_moe/family.ts";
import { smollm3 } from "./smollm3/family.ts";
import type { VisionFamily, VisionModel } from "./vision/model.ts";
import { readImageProcessor } from "./vision/preprocessor.ts";

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

/**
 * Llama (and Mistral, which is the same without its window).
 *
 * @example
 * ```ts
 * import { Tensor } from "@kernelwright/sdk";
 * import { LlamaForCausalLM } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * using model = await LlamaForCausalLM.fromPretrained("./model");
 * using ids = Tensor.from([[1, 3, 4]], { dtype: "i32" }), logits = model.call(ids);
 * assertEquals(logits.shape, [1, 3, 32]); // one for each of the 32 words
 * ```
 */
export const LlamaForCausalLM: Pretrained = family(llama, mistral);
/**
 * Qwen2: Llama with biases on q, k and v.
 *
 * No example: it loads a folder as {@linkcode LlamaForCausalLM} does, whose example shows it.
 */
export const Qwen2ForCausalLM: Pretrained = family(qwen2);
/**
 * Qwen3: q and k are normalised head by head, and heads have a size of their own.
 *
 * No example: it loads a folder as {@linkcode LlamaForCausalLM} does, whose example shows it.
 */
export const Qwen3ForCausalLM: Pretrained = family(qwen3);
/**
 * Mixtral: a mixture of experts in place of the MLP.
 *
 * No example: it loads a folder as {@linkcode LlamaForCausalLM} does, whose example shows it.
 */
export const MixtralForCausalLM: Pretrained = family(mixtral);
/**
 * Phi-3 and Phi-4: q, k and v in one matrix, gate and up in one.
 *
 * No example: it loads a folder as {@linkcode LlamaForCausalLM} does, whose example shows it.
 */
export const Phi3ForCausalLM: Pretrained = family(phi3);
/**
 * SmolLM3: Llama in which no position turns the heads of some layers.
 *
 * No example: it loads a folder as {@linkcode LlamaForCausalLM} does, whose example shows it.
 */
export const SmolLM3ForCausalLM: Pretrained = family(smollm3);
/**
 * Qwen2-MoE: a mixture of experts beside one that all tokens use.
 *
 * No example: it loads a folder as {@linkcode LlamaForCausalLM} does, whose example shows it.
 */
export const Qwen2MoeForCausalLM: Pretrained = family(qwen2Moe);
/**
 * Qwen3-MoE: Qwen3 with a mixture of experts, in all layers or some.
 *
 * No example: it loads a folder as {@linkcode LlamaForCausalLM} does, whose example shows it.
 */
export const Qwen3MoeForCausalLM: Pretrained = family(qwen3Moe);
/**
 * GPT-2: learned positions, and an MLP without a gate.
 *
 * No example: it loads a folder as {@linkcode LlamaForCausalLM} does, whose example shows it.
 */
export const GPT2LMHeadModel: Pretrained = family(gpt2);
/**
 * OLMo 2: norms after attention and the MLP, and over all heads of q and k at once.
 *
 * No example: it loads a folder as {@linkcode LlamaForCausalLM} does, whose example shows it.
 */
export const Olmo2ForCausalLM: Pretrained = family(olmo2);
/**
 * Granite: Llama with multipliers of embeddings, scores, residuals and logits.
 *
 * No example: it loads a folder as {@linkcode LlamaForCausalLM} does, whose example shows it.
 */
export const GraniteForCausalLM: Pretrained = family(granite);
/**
 * Gemma 2: four norms a layer, soft caps, and a window in every other layer.
 *
 * No example: it loads a folder as {@linkcode LlamaForCausalLM} does, whose example shows it.
 */
export const Gemma2ForCausalLM: Pretrained = family(gemma2);
/**
 * The text model of Gemma 3: norms of q and k, and two kinds of layers.
 *
 * No example: it loads a folder as {@linkcode LlamaForCausalLM} does, whose example shows it.
 */
export const Gemma3ForCausalLM: Pretrained = family(gemma3);
/**
 * Whatever the folder's config says.
 *
 * @example
 * ```ts
 * import { AutoModelForCausalLM } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * using model = await AutoModelForCausalLM.fromPretrained("./model");
 * assertEquals(model.config.model_type, "llama");
 * ```
 */
export const AutoModelForCausalLM: Pretrained = {
  fromPretrained: (dir, options) => loadCausalLM(dir, options),
};
/**
 * A model that classifies images (ViT, SigLIP), for {@linkcode classifyImage}. A checkpoint without a classifier is refused.
 *
 * See the example of {@linkcode classifyImage}.
 */
export const AutoModelForImageClassification: Pretrained<VisionModel> = {
  fromPretrained: (dir, options = {}) => loadVision(dir, options, VISION.map(classifying)),
};
/**
 * A model that embeds images (ViT, SigLIP), for {@linkcode embedImage}; with its classifier, if it has one.
 *
 * See the example of {@linkcode embedImage}.
 */
export const AutoModelForImageEmbedding: Pretrained<VisionModel> = {
  fromPretrained: (dir, options = {}) => loadVision(dir, options, VISION),
};

async function loadVision(
  dir: FolderLocation,
  options: PretrainedOptions,
  families: readonly VisionFamily[],
): Promise<VisionModel> {
  const { config } = await readFamily(dir, families);
  const processor = await readImageProcessor(openFolder(dir, { allowLinks: true }), config);
  const model = await loadPretrained(dir, options, families, "fromPretrained()");
  model.image_processor = processor;
  return model;
}

/** A family whose classifier is not taken out where the checkpoint lacks it: it is missed then. */
function classifying(family: VisionFamily): VisionFamily {
  return {
    ...family,
    fit(model, keys) {
      const { classifier } = model;
      family.fit?.(model, keys);
      model.classifier = classifier;
    },
  };
}

/**
 * Any encoder: whatever the folder's config says. The model gives the last hidden states.
 *
 * @example
 * ```ts
 * import { Tensor } from "@kernelwright/sdk";
 * import { AutoModel, type EncoderModel } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * using model: EncoderModel = await AutoModel.fromPretrained("./sentences");
 * using ids = Tensor.from([[1, 3, 4]], { dtype: "i32" }), hidden = model.call(ids);
 * assertEquals(hidden.shape, [1, 3, model.config.hidden_size]);
 * ```
 */
export const AutoModel: Pretrained<EncoderModel> = {
  fromPretrained: (dir, options = {}) => loadPretrained(dir, options, ENCODERS, "fromPretrained()"),
};

function family(...families: DecoderFamily[]): Pretrained {
  return {
    fromPretrained: (dir, options = {}) => loadPretrained(dir, options, families, "fromPretrained()"),
  };
}
