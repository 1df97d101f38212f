import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import {
  AutoModelForImageEmbedding,
  familyOf,
  FILTERS,
  imagesToPixels,
  parseImageProcessor,
  resize,
  VISION,
  type VisionConfig,
} from "../../sdk/models/mod.ts";
import { scope, Tensor } from "../../sdk/tensor/mod.ts";
import { assertClose } from "../helpers/assert_close.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { values } from "../helpers/random.ts";
import { inModelFolder, SIGLIP, siglipWeights, VIT, vitWeights } from "./vision_checkpoints.ts";
import { type Json, siglip, vit, type Weights } from "./vision_reference.ts";

const both = (tower: Json): Json => ({ model_type: "siglip", vision_config: tower });
const read = (json: Json): VisionConfig => familyOf(json.model_type, VISION).read(json, "config.json");
const FAMILIES: readonly (readonly [name: string, json: Json, field: (key: string) => string])[] = [
  ["vit", VIT, (key) => key],
  ["siglip_vision_model", SIGLIP, (key) => key],
  ["siglip", SIGLIP, (key) => key],
];
const wrapped = (name: string, json: Json) => read(name === "siglip" ? both(json) : json);

describe("the config.json of vision models", () => {
  it("has the defaults of the published code", () => {
    const common = {
      hidden_size: 768,
      intermediate_size: 3072,
      num_hidden_layers: 12,
      num_attention_heads: 12,
      num_channels: 3,
      image_size: [224, 224],
      patch_size: [16, 16],
      qkv_bias: true,
      labels: ["LABEL_0", "LABEL_1"],
      multi_label: false,
      unknown_keys: [],
    };
    for (
      const [json, own] of [
        [{ model_type: "vit" }, { layer_norm_eps: 1e-12, hidden_act: "gelu", pooler_act: "tanh" }],
        [{ model_type: "siglip_vision_model" }, { layer_norm_eps: 1e-6, hidden_act: "gelu_pytorch_tanh" }],
        [{ model_type: "siglip" }, { layer_norm_eps: 1e-6, hidden_act: "gelu_pytorch_tanh" }],
      ] as const
    ) {
      const config: Record<string, unknown> = { ...read(json) };
      for (const [key, value] of Object.entries({ ...common, ...own })) assertEquals(config[key], value, key);
      const nulls = Object.fromEntries(Object.keys(common).map((key) => [key, null]));
      const { source: _a, ...withNulls } = read({ ...nulls, ...json });
      const { source: _b, ...without } = read(json);
      assertEquals(withNulls, without);
    }
  });

  for (const [name, json] of FAMILIES) {
    it(`is refused by name for what ${name} does not take`, () => {
      for (
        const change of [
          { hidden_size: 0 },
          { hidden_size: "16" },
          { num_attention_heads: 3 },
          { num_hidden_layers: 1.5 },
          { num_hidden_layers: 10_001 },
          { image_size: -1 },
          { image_size: [8, 8, 8] },
          { patch_size: 64 },
          { num_channels: 0 },
          { hidden_act: "selu" },
          { hidden_act: 3 },
          { layer_norm_eps: -1 },
          { qkv_bias: name === "vit" ? "no" : false },
          { rotary_dim: 4 },
          { softcap: undefined, final_logit_softcapping: 30 },
          { position_embedding_type: "relative" },
          { quantization_config: { quant_method: "gptq" } },
        ]
      ) {
        const [key] = Object.keys(change).slice(-1);
        const error = assertThrows(() => wrapped(name, { ...json, ...change }), KernelwrightError, key);
        assertEquals(error.code, "KW-CONFIG-VALUE");
      }
      const odd = { ...json, image_size: [12, 8] };
      if (name === "vit") assertEquals(wrapped(name, odd).image_size, [12, 8]);
      else assertThrows(() => wrapped(name, odd), KernelwrightError, "image_size");
    });

    it(`names keys that nothing is known of, and no key of bookkeeping, in ${name}`, () => {
      const config = wrapped(name, { ...json, attn_warp: 3, torch_dtype: "float32", attention_dropout: 0.5 });
      assertEquals(config.unknown_keys, [name === "siglip" ? "vision_config.attn_warp" : "attn_warp"]);
    });

    it(`is refused for labels that are none in ${name}`, () => {
      for (
        const [change, key] of [
          [{ id2label: { 0: "a", 2: "c" } }, "id2label"],
          [{ id2label: {} }, "id2label"],
          [{ id2label: ["a"] }, "id2label"],
          [{ id2label: { 0: 7 } }, "id2label"],
          [{ num_labels: 0 }, "num_labels"],
          [{ problem_type: "regression" }, "problem_type"],
          [{ problem_type: "guessing" }, "problem_type"],
        ] as const
      ) {
        const whole = name === "siglip" ? both(json) : json;
        const { id2label: _, ...bare } = whole;
        assertThrows(() => read({ ...bare, ...change }), KernelwrightError, key);
      }
    });
  }

  it("is refused for a vision_config that is none, and for keys beside it", () => {
    for (const vision_config of [3, [], "small"]) {
      assertThrows(() => read({ model_type: "siglip", vision_config }), KernelwrightError, "vision_config");
    }
    assertThrows(() => read({ ...both(SIGLIP), rotary_dim: 8 }), KernelwrightError, "rotary_dim");
    assertEquals(read({ ...both(SIGLIP), hidden_size: 8 }).unknown_keys, ["hidden_size"]);
  });
});

describe("every key of a vision model's config.json", () => {
  const pixels = (json: Json) => {
    const size = [json.image_size].flat().length === 2 ? json.image_size as number[] : [12, 12];
    const shape = [1, 3, ...size];
    return { shape, data: values(shape.reduce((a, b) => a * b), 5) };
  };

  async function embedding(json: Json, weights: Weights): Promise<number[]> {
    let found: number[] = [];
    await inModelFolder(json, weights, async (dir) => {
      const options = { device: "reference", onWarning: () => {} } as const;
      using model = await AutoModelForImageEmbedding.fromPretrained(dir, options);
      const { shape, data } = pixels(json);
      using out = scope(() => model.embed(model.hidden(Tensor.from(data, { shape, device: "reference" }))));
      found = Array.from(await out.data(), Number);
    });
    return found;
  }

  for (
    const [json, weights, formula, own] of [
      [VIT, vitWeights(VIT, { pooler: true }), vit, { pooler_act: "relu" }],
      [SIGLIP, siglipWeights(SIGLIP), siglip, {}],
    ] as const
  ) {
    const name = String(json.model_type);
    it(`changes the numbers as the formula does, in ${name}`, async () => {
      const plain = await embedding(json, weights);
      const changes = {
        num_attention_heads: 8,
        hidden_act: "relu",
        layer_norm_eps: 0.5,
        num_hidden_layers: 1,
        ...own,
      };
      for (const [key, value] of Object.entries(changes)) {
        const changed = { ...json, [key]: value };
        const used = key !== "num_hidden_layers"
          ? weights
          : name === "vit"
          ? vitWeights(changed, { pooler: true })
          : siglipWeights(changed);
        const found = await embedding(changed, used);
        assertNotEquals(found, plain, key);
        assertClose(found, formula(changed, used, pixels(json).data).embedding, {
          relative: 0,
          absolute: 1e-5,
        });
      }
    });

    it(`is an error where the weights are others, in ${name}`, async () => {
      for (
        const change of [
          { hidden_size: 32 },
          { intermediate_size: 16 },
          { num_hidden_layers: 1 },
          { num_hidden_layers: 3 },
          { num_channels: 4 },
          { image_size: name === "vit" ? [13, 4] : 8 },
          { patch_size: name === "vit" ? [4, 4] : 6 },
          name === "vit" ? { qkv_bias: false } : { vision_use_head: false },
          ...name === "vit" ? [{ pooler_output_size: 5 }] : [],
        ]
      ) {
        const error = await assertRejects(
          () => embedding({ ...json, ...change }, weights),
          KernelwrightError,
        );
        assert(error.code.startsWith("KW-CHECKPOINT-"), `${JSON.stringify(change)}: ${error.message}`);
      }
    });
  }
});

describe("preprocessor_config.json", () => {
  gpuForFile();

  const config = read(VIT);
  const parse = (json: unknown) => parseImageProcessor(json, config, "preprocessor_config.json");

  it("has the defaults of the published code", () => {
    const size = { height: 13, width: 8 };
    const each = { factor: 1 / 255, mean: 0.5, std: 0.5 };
    assertEquals(parse({ size }), {
      resize: { size: [13, 8], filter: FILTERS[2] },
      channels: [each, each, each],
    });
    const square = read({ ...SIGLIP, image_size: 224 });
    assertEquals(parseImageProcessor({}, square).resize, { size: [224, 224], filter: FILTERS[3] });
    assertEquals(parseImageProcessor({ size: 224, resample: 2 }, square).resize?.filter.name, "bilinear");
    const old = { feature_extractor_type: "ViTFeatureExtractor", image_mean: 0.25, do_rescale: null };
    assertEquals(parse({ ...old, size })?.channels[2], { ...each, mean: 0.25 });
  });

  it("takes what publishing writes beside", () => {
    parse({
      size: { height: 13, width: 8, shortest_edge: null },
      image_processor_type: "ViTImageProcessorFast",
      processor_class: "ViTProcessor",
      crop_size: null,
      data_format: "channels_first",
      default_to_square: true,
      device: null,
      do_center_crop: false,
      do_convert_rgb: true,
      do_reduce_labels: false,
      input_data_format: null,
    });
  });

  it("is refused by name for what is not understood", () => {
    const size = { height: 13, width: 8 };
    for (
      const [change, key] of [
        [{ size: 224 }, "size"],
        [{ size: { shortest_edge: 13 } }, "size"],
        [{ size: { height: 13 } }, "size"],
        [{ size: { height: 13, width: 8, longest_edge: 9 } }, "size"],
        [{ size: [13, 8] }, "size"],
        [{ resample: 0 }, "resample"],
        [{ resample: 1 }, "resample"],
        [{ resample: "bicubic" }, "resample"],
        [{ do_resize: 1 }, "do_resize"],
        [{ do_center_crop: true, crop_size: 8 }, "do_center_crop"],
        [{ do_pad: true }, "do_pad"],
        [{ do_grayscale: true }, "do_grayscale"],
        [{ crop_pct: 0.9 }, "crop_pct"],
        [{ rescale_offset: true }, "rescale_offset"],
        [{ rescale_factor: "1/255" }, "rescale_factor"],
        [{ image_mean: [0.5, 0.5] }, "image_mean"],
        [{ image_std: [0.5, 0, 0.5] }, "image_std"],
        [{ image_std: 0 }, "image_std"],
        [{ data_format: "channels_last" }, "data_format"],
        [{ image_processor_type: "CLIPImageProcessor" }, "image_processor_type"],
        [{ feature_extractor_type: "BeitFeatureExtractor" }, "feature_extractor_type"],
      ] as const
    ) {
      const error = assertThrows(() => parse({ size, ...change }), KernelwrightError, key, key);
      assertEquals(error.code, "KW-CONFIG-VALUE");
      assert(error.message.includes("preprocessor_config.json"), error.message);
    }
    for (const json of [null, [], 3, "{}"]) assertThrows(() => parse(json), KernelwrightError);
  });

  it("is read when the model is loaded, and what cannot be read is an error then", async () => {
    for (const preprocessor of [{ resample: 9 }, []]) {
      await inModelFolder(VIT, vitWeights(VIT), async (dir) => {
        const error = await assertRejects(
          () => AutoModelForImageEmbedding.fromPretrained(dir),
          KernelwrightError,
        );
        assertEquals(error.code, "KW-CONFIG-VALUE");
      }, { preprocessor: preprocessor as never });
    }
    await inModelFolder(VIT, vitWeights(VIT), async (dir) => {
      await Deno.writeTextFile(`${dir}/preprocessor_config.json`, "{");
      const error = await assertRejects(
        () => AutoModelForImageEmbedding.fromPretrained(dir),
        KernelwrightError,
      );
      assert(error.message.includes("preprocessor_config.json"), error.message);
    });
  });

  it("says what becomes of a pixel, and each of its keys counts", async () => {
    const image = { width: 8, height: 13, data: new Uint8Array(3 * 8 * 13).map((_, i) => i * 37 % 256) };
    const larger = { width: 19, height: 21, data: new Uint8Array(3 * 19 * 21).map((_, i) => i * 91 % 256) };
    const size = { height: 13, width: 8 };
    const base = { rescale_factor: 1 / 255, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };
    for (
      const [json, given] of [
        [{ do_resize: false }, image],
        [{ size, image_mean: [0.1, 0.2, 0.3], image_std: [0.4, 0.5, 0.6] }, image],
        [{ size, rescale_factor: 0.5 }, larger],
        [{ size, do_rescale: false, image_mean: [120, 121, 122] }, larger],
        [{ size, do_normalize: false, resample: 3 }, larger],
        [{ size, do_normalize: false, do_rescale: false, resample: 2 }, larger],
      ] as readonly (readonly [Record<string, unknown>, typeof image])[]
    ) {
      await inModelFolder(VIT, vitWeights(VIT), async (dir) => {
        using model = await AutoModelForImageEmbedding.fromPretrained(dir, { device: "reference" });
        using pixels = imagesToPixels(model, [image, given]);
        assertEquals(pixels.shape, [2, 3, 13, 8]);
        const j = { ...base, ...json } as typeof base & Record<string, unknown>;
        const expected = [image, given].flatMap((one) => {
          const small = json.do_resize === false
            ? one
            : resize(one, 3, 8, 13, FILTERS[j.resample as number ?? 2]);
          return Array.from({ length: 3 }, (_, c) =>
            Array.from({ length: 8 * 13 }, (_, i) => {
              const v = small.data[3 * i + c] * (j.do_rescale === false ? 1 : j.rescale_factor);
              return j.do_normalize === false ? v : (v - j.image_mean[c]) / j.image_std[c];
            })).flat();
        });
        assertClose(Array.from(await pixels.data(), Number), expected, { relative: 1e-6 });
      }, { preprocessor: json });
    }
  });

  // What Pillow 9.4 gave for these five columns and four rows, brought to three columns and seven rows.
  // deno-fmt-ignore
  const PHOTO = [231, 255, 0, 243, 0, 255, 0, 21, 255, 80, 7, 0, 0, 123, 255, 255, 100, 119, 255, 2, 255, 255, 42, 255, 117, 0, 35, 255, 255, 0, 8, 0, 0, 255, 255, 37, 101, 255, 255, 0, 0, 0, 0, 255, 0, 255, 97, 255, 0, 255, 0, 138, 0, 0, 201, 0, 0, 255, 4, 255];
  // deno-fmt-ignore
  const PILLOW: Readonly<Record<number, readonly number[]>> = {
    2: [236, 146, 109, 72, 13, 198, 34, 73, 146, 243, 115, 133, 126, 17, 201, 92, 99, 99, 254, 64, 172, 213, 23, 205, 184, 141, 24, 185, 84, 97, 169, 111, 178, 98, 146, 8, 116, 113, 25, 114, 188, 139, 17, 136, 10, 135, 145, 100, 118, 107, 54, 149, 53, 94, 146, 165, 146, 121, 57, 0, 232, 2, 146],
    3: [240, 156, 109, 59, 0, 201, 15, 69, 152, 250, 120, 141, 120, 0, 208, 85, 98, 101, 255, 61, 184, 217, 6, 216, 191, 146, 14, 186, 77, 96, 181, 117, 197, 92, 158, 0, 115, 118, 18, 117, 201, 148, 5, 134, 6, 130, 155, 103, 110, 109, 45, 159, 42, 104, 145, 174, 159, 110, 48, 0, 255, 0, 161],
  };

  for (const [number, expected] of Object.entries(PILLOW)) {
    const filter = FILTERS[Number(number)];
    it(`resizes as Pillow does, ${filter.name}`, () => {
      const photo = { width: 5, height: 4, data: Uint8Array.from(PHOTO) };
      assertEquals([...resize(photo, 3, 3, 7, filter).data], expected);
      assertEquals([...resize(photo, 3, 5, 4, filter).data], PHOTO);
    });
  }
});
