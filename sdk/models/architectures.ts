import { type FolderLocation, openFolder } from "../checkpoint/mod.ts";
import type { CausalLM } from "./causal_lm.ts";
import type { DecoderFamily } from "./family.ts";
import { VISION } from "./families.ts";
import { loadCausalLM, loadPretrained, type PretrainedOptions, readFamily } from "./from_pretrained.ts";
import { llama } from "./llama/family.ts";
import { mistral } from "./mistral/family.ts";
import { mixtral } from "./mixtral/family.ts";
import type { PretrainedModel } from "./pretrained_model.ts";
import { qwen2, qwen3 } from "./qwen/family.ts";
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
/** A model that classifies images (ViT, SigLIP), for {@linkcode classifyImage}. A checkpoint without a classifier is refused. */
export const AutoModelForImageClassification: Pretrained<VisionModel> = {
  fromPretrained: (dir, options = {}) => loadVision(dir, options, VISION.map(classifying)),
};
/** A model that embeds images (ViT, SigLIP), for {@linkcode embedImage}; with its classifier, if it has one. */
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
    trim(model, keys) {
      const { classifier } = model;
      family.trim?.(model, keys);
      model.classifier = classifier;
    },
  };
}

function family(...families: DecoderFamily[]): Pretrained {
  return {
    fromPretrained: (dir, options = {}) => loadPretrained(dir, options, families, "fromPretrained()"),
  };
}
