/**
 * The modules that models are built from.
 *
 * @module
 */
export {
  type AnyArguments,
  type AttentionConfig,
  type AttentionContext,
  constructorArguments,
  Embedding,
  GatedActivation,
  gatedActivation,
  GELU,
  GeluAndMul,
  Identity,
  joinPath,
  KVCache,
  type KVCacheOptions,
  layer,
  layerName,
  layerNameOfClass,
  LayerNorm,
  Linear,
  LlamaAttention,
  LlamaMLP,
  makeReplaceable,
  Module,
  ModuleList,
  ReluAndMul,
  replaceableFunction,
  RMSNorm,
  type Rope,
  ropeFactor,
  ropeFrequencies,
  SiLU,
  SiluAndMul,
} from "../nn/mod.ts";
