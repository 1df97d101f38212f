import { raise } from "../../errors.ts";
import { checkKeys, short } from "../config_keys.ts";
import { isOldBuffer } from "../old_keys.ts";
import { LABEL_KEYS, readVision, VISION_KEYS, type VisionTraits } from "../vision/config.ts";
import { underPrefix, without } from "../vision/keys.ts";
import type { VisionFamily } from "../vision/model.ts";
import { SiglipVisionModel } from "./modules.ts";

const TRAITS: VisionTraits = {
  keys: {
    used: [...VISION_KEYS, ...LABEL_KEYS, "vision_use_head"],
    harmless: ["initializer_factor"],
    // All projections have biases.
    refused: { qkv_bias: [true], attention_bias: [true] },
  },
  defaults: { hidden_act: "gelu_pytorch_tanh", layer_norm_eps: 1e-6 },
  pairs: false,
};

/** What the config of both towers has at its top. */
const TOP_KEYS = {
  used: ["vision_config", ...LABEL_KEYS],
  // What belongs to the tower of texts alone.
  harmless: ["text_config", "initializer_factor", "projection_dim", "logit_scale_init_value"],
};

const COMMON: Omit<VisionFamily, "types" | "read"> = {
  build: (config) => new SiglipVisionModel(config as SiglipVisionModel["config"]),
  fit(model, names) {
    const keys = [...names];
    if (without(keys, "classifier.")) model.classifier = undefined;
    // A classifier goes by the patches; without one, a head that is missing is missed.
    else if (model instanceof SiglipVisionModel && without(keys, "head.")) {
      model.vision_model.head = undefined;
    }
  },
  mapping: (keys) => underPrefix(keys, "vision_model", ["embeddings", "encoder", "post_layernorm", "head"]),
  isOldBuffer,
};

/** SigLIP's vision tower by itself. */
export const siglipVision: VisionFamily = {
  ...COMMON,
  types: ["siglip_vision_model"],
  read: (json, file) => ({ ...readVision(json, json, TRAITS, file), source: json }),
};

/** SigLIP: of the two towers, that of images. The tower of texts is copied when the model is saved. */
export const siglip: VisionFamily = {
  ...COMMON,
  types: ["siglip"],
  read(json, file) {
    const unknown = checkKeys(json, TOP_KEYS, file);
    const tower = json.vision_config ?? {};
    if (typeof tower !== "object" || Array.isArray(tower)) {
      raise(
        "KW-CONFIG-VALUE",
        `Cannot use config.json: vision_config: ${short(tower)} is not an object`,
        undefined,
        {
          file,
          json: "vision_config",
        },
      );
    }
    const config = readVision(tower as Record<string, unknown>, json, TRAITS, file);
    return {
      ...config,
      model_type: "siglip",
      source: json,
      unknown_keys: [...unknown, ...config.unknown_keys!.map((key) => `vision_config.${key}`)],
    };
  },
  beside: () => (key) => /^(text_model\.|logit_scale$|logit_bias$)/.test(key),
};
