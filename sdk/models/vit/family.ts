import { isOldBuffer } from "../old_keys.ts";
import { LABEL_KEYS, readVision, VISION_KEYS, type VisionTraits } from "../vision/config.ts";
import { underPrefix, without } from "../vision/keys.ts";
import type { VisionFamily } from "../vision/model.ts";
import { ViTModel } from "./modules.ts";

const TRAITS: VisionTraits = {
  keys: {
    used: [...VISION_KEYS, ...LABEL_KEYS, "qkv_bias", "pooler_output_size", "pooler_act"],
    harmless: ["encoder_stride"], // of the decoder of masked images
  },
  defaults: { hidden_act: "gelu", layer_norm_eps: 1e-12 },
  pairs: true,
};

/** ViT: patches behind a token that stands for the image. */
export const vit: VisionFamily = {
  types: ["vit"],
  read: (json, file) => ({ ...readVision(json, json, TRAITS, file), source: json }),
  build: (config) => new ViTModel(config as ViTModel["config"]),
  fit(model, names) {
    const keys = [...names];
    if (without(keys, "classifier.")) model.classifier = undefined;
    if (model instanceof ViTModel && without(keys, "pooler.")) model.vit.pooler = undefined;
  },
  mapping: (keys) => underPrefix(keys, "vit", ["embeddings", "encoder", "layernorm", "pooler"]),
  isOldBuffer,
};
