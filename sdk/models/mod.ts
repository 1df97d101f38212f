/**
 * Models that load checkpoints in Hugging Face format, and generation.
 *
 * @module
 */
export * from "./architectures.ts";
export * from "./causal_lm.ts";
export * from "./config.ts";
export * from "./decoder.ts";
export * from "./from_pretrained.ts";
export * from "./generate.ts";
export * from "./generation_config.ts";
export * from "./mixtral.ts";
export type { ReadyOptions } from "./ready.ts";
export * from "./save.ts";
export * from "./tokenizer.ts";
