import { raise } from "../errors.ts";
import type { Module } from "../nn/mod.ts";
import type { AttentionContext } from "../nn/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import type { ConversionRule } from "../authoring/mod.ts";
import type { CausalLM } from "./causal_lm.ts";
import {
  type CausalLMConfig,
  DECODER_KEYS,
  type DecoderConfig,
  type DecoderTraits,
  type PretrainedConfig,
  readDecoder,
} from "./config.ts";
import { DecoderLM } from "./decoder_lm.ts";
import { baseModelMapping, isOldBuffer } from "./old_keys.ts";
import type { PretrainedModel } from "./pretrained_model.ts";
import { checkKeys, type ConfigKeys, withoutNulls } from "./config_keys.ts";

/** A family of models: what its config.json means, and what is built from it. */
export interface Family<
  C extends PretrainedConfig = PretrainedConfig,
  M extends PretrainedModel = PretrainedModel,
> {
  /** The values of `model_type`. */
  readonly types: readonly string[];
  /** Reads and checks a config.json of the family. */
  read(json: Readonly<Record<string, unknown>>, file?: string): C;
  /** Builds the modules on the meta device. */
  build(config: C): M;
  /** What a checkpoint with other names than the modules' needs, told from its keys; saving gives them back. */
  mapping?(keys: Iterable<string>, config: C): ConversionRule[] | undefined;
  /** Whether a key is of a buffer that is computed here, and is left out. */
  isOldBuffer?(key: string): boolean;
  /** Takes away modules that a checkpoint may do without, told from its keys. */
  fit?(model: M, keys: Iterable<string>): void;
  /** Tells of a checkpoint's keys which are of something that is not read here, such as a task's head; saving copies it. */
  beside?(keys: Iterable<string>): (key: string) => boolean;
}

/** A family whose models give logits for the next token. */
export type DecoderFamily = Family<CausalLMConfig, CausalLM>;

/** How a family of decoders is defined. */
export interface FamilyDefinition<C extends DecoderConfig = DecoderConfig> extends DecoderTraits {
  /** The values of `model_type`. */
  readonly types: readonly string[];
  /** The keys besides those that every decoder reads. */
  readonly keys: ConfigKeys;
  /** Checks what only this family has. */
  readonly check?: (config: C, refuse: (field: string, what: string) => never) => void;
  /** What else the config has, worked out from what was read. */
  readonly complete?: (
    config: C,
    json: Readonly<Record<string, unknown>>,
  ) => Partial<C>;
  /** Modules of one layer, roughly, for the budget; defaults to 20. */
  readonly modulesPerLayer?: (config: C) => number;
  /** Builds the layer of an index; defaults to Llama's. */
  readonly layer?: (
    config: C,
    index: number,
  ) => Module & { forward(h: Tensor, c: AttentionContext): Tensor };
  /** Builds the whole model, where it is more than layers of its own. */
  readonly build?: (config: C) => CausalLM;
  /** Other names that a checkpoint may have; defaults to those of a model without its head. */
  readonly mapping?: DecoderFamily["mapping"];
}

/** The most modules that a config may ask for. The largest published models have some 120,000. */
const MOST_MODULES = 400_000;

/** Defines a family of decoders. */
export function defineFamily<C extends DecoderConfig = DecoderConfig>(
  definition: FamilyDefinition<C>,
): Family<C, CausalLM> {
  const { types, keys, check, modulesPerLayer, layer, build } = definition;
  const used = [...DECODER_KEYS, ...keys.used];
  return {
    types,
    read(json, file) {
      const refuse = (field: string, what: string, fix?: string): never =>
        raise("KW-CONFIG-VALUE", `Cannot use config.json: ${field}: ${what}`, fix, { file, json: field });
      const unknown = checkKeys(json, { ...keys, used }, file);
      const read = readDecoder(json, definition, file) as C; // with the fields that it asks for
      const config: C = { ...read, ...definition.complete?.(read, withoutNulls(json)) };
      check?.(config, refuse);
      const each = modulesPerLayer?.(config) ?? 20;
      if (config.num_hidden_layers * each > MOST_MODULES) {
        refuse(
          "num_hidden_layers",
          `${config.num_hidden_layers} layers of about ${each} modules are ${
            config.num_hidden_layers * each
          } modules; at most ${MOST_MODULES} are built`,
          "Check the number of layers and of experts.",
        );
      }
      return { ...config, unknown_keys: [...unknown, ...config.unknown_keys ?? []] };
    },
    build: build ?? ((config) => new DecoderLM(config, layer && ((i) => layer(config, i)))),
    mapping: definition.mapping ?? baseModelMapping,
    isOldBuffer,
  };
}
