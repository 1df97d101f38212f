/**
 * Models that load checkpoints in Hugging Face format, and generation.
 *
 * @module
 */
export * from "./architectures.ts";
export * from "./bert/modules.ts";
export * from "./causal_lm.ts";
export * from "./config.ts";
export type { ConfigKeys } from "./config_keys.ts";
export * from "./decoder.ts";
export * from "./decoder_lm.ts";
export * from "./distilbert/modules.ts";
export { type Pooling, POOLINGS } from "./embed/pooling.ts";
export * from "./embed/sentence_embedder.ts";
export { type EmbeddingSettings, readEmbeddingSettings } from "./embed/settings.ts";
export * from "./encoder.ts";
export * from "./families.ts";
export * from "./family.ts";
export * from "./from_pretrained.ts";
export * from "./generate.ts";
export * from "./generation_config.ts";
export * from "./gemma/config.ts";
export * from "./gemma/modules.ts";
export * from "./gpt2/modules.ts";
export * from "./granite/modules.ts";
export * from "./mixtral/modules.ts";
export * from "./modernbert/modules.ts";
export * from "./olmo2/modules.ts";
export * from "./phi3/modules.ts";
export { baseModelMapping, isOldBuffer } from "./old_keys.ts";
export * from "./pretrained_model.ts";
export * from "./qwen_moe/modules.ts";
export type { ReadyOptions } from "./ready.ts";
export * from "./save.ts";
export * from "./smollm3/modules.ts";
export * from "./tokenizer.ts";
export { type ImageSize, type VisionConfig } from "./vision/config.ts";
export * from "./vision/images.ts";
export { type VisionFamily, VisionModel } from "./vision/model.ts";
export { type ImageProcessor, parseImageProcessor } from "./vision/preprocessor.ts";
export { type Filter, FILTERS, type Pixels, resize } from "./vision/resize.ts";
export * from "./siglip/modules.ts";
export * from "./vit/modules.ts";
export { checkLength, checkPrompts } from "./prompts.ts";
