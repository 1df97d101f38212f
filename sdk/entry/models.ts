/**
 * Models that load checkpoints in Hugging Face format, and generation.
 *
 * @module
 */
export {
  attentionConfig,
  AutoModelForCausalLM,
  buildCausalLM,
  CausalLM,
  type CausalLMInputs,
  type DecoderConfig,
  type DecoderInputs,
  DecoderLM,
  DecoderModel,
  generate,
  type GenerateOptions,
  type Generation,
  LlamaDecoderLayer,
  LlamaForCausalLM,
  loadCausalLM,
  loadTokenizer,
  MixtralDecoderLayer,
  MixtralExpert,
  MixtralForCausalLM,
  MixtralSparseMoeBlock,
  parseDecoderConfig,
  type Pretrained,
  type PretrainedOptions,
  Qwen2ForCausalLM,
  Qwen3ForCausalLM,
  readConfig,
  readKernelConfig,
  type ReadyOptions,
  savePretrained,
  type SavePretrainedOptions,
  type Tokenizer,
} from "../models/mod.ts";
