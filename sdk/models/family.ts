import { raise } from "../errors.ts";
import type { Module } from "../nn/mod.ts";
import type { AttentionContext } from "../nn/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { CausalLM } from "./causal_lm.ts";
import { DECODER_KEYS, type DecoderConfig, type DecoderTraits, readDecoder } from "./config.ts";
import { checkKeys, type ConfigKeys } from "./config_keys.ts";

/** A family of models: what its config.json means, and what is built from it. */
export interface Family {
  /** The values of `model_type`. */
  readonly types: readonly string[];
  /** Reads and checks a config.json of the family. */
  readonly read: (json: Readonly<Record<string, unknown>>, file?: string) => DecoderConfig;
  /** Builds the modules on the meta device. */
  readonly build: (config: DecoderConfig) => CausalLM;
}

/** How a family of decoders is defined. */
export interface FamilyDefinition extends DecoderTraits {
  /** The values of `model_type`. */
  readonly types: readonly string[];
  /** The keys besides those that every decoder reads. */
  readonly keys: ConfigKeys;
  /** Checks what only this family has. */
  readonly check?: (config: DecoderConfig, refuse: (field: string, what: string) => never) => void;
  /** Modules of one layer, roughly, for the budget; 20 unless told. */
  readonly modulesPerLayer?: (config: DecoderConfig) => number;
  /** Builds the layer of an index; Llama's unless told. */
  readonly layer?: (
    config: DecoderConfig,
    index: number,
  ) => Module & { forward(h: Tensor, c: AttentionContext): Tensor };
}

/** The most modules that a config may ask for. The largest published models have some 120,000. */
const MOST_MODULES = 400_000;

/** Defines a family of decoders. */
export function defineFamily(definition: FamilyDefinition): Family {
  const { types, keys, check, modulesPerLayer, layer } = definition;
  const used = [...DECODER_KEYS, ...keys.used];
  return {
    types,
    read(json, file) {
      const refuse = (field: string, what: string, fix?: string): never =>
        raise("KW-CONFIG-VALUE", `Cannot use config.json: ${field}: ${what}`, fix, { file, json: field });
      const unknown = checkKeys(json, { ...keys, used }, file);
      const config = readDecoder(json, definition, file);
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
    build: (config) => layer ? new CausalLM(config, (i) => layer(config, i)) : new CausalLM(config),
  };
}
