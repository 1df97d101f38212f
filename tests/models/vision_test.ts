import { openCheckpoint } from "../../sdk/checkpoint/mod.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { currentGpu, memory } from "../../sdk/gpu/mod.ts";
import { kernelReport } from "../../sdk/kernelize/mod.ts";
import {
  AutoModelForImageClassification,
  AutoModelForImageEmbedding,
  classifyImage,
  embedImage,
  type PretrainedOptions,
  savePretrained,
  type VisionModel,
} from "../../sdk/models/mod.ts";
import { scope, Tensor } from "../../sdk/tensor/mod.ts";
import { assertClose } from "../helpers/assert_close.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { values } from "../helpers/random.ts";
import { inModelFolder, pair, SIGLIP, siglipWeights, VIT, vitWeights } from "./vision_checkpoints.ts";
import { type Json, siglip, type VisionOutputs, vit, type Weights } from "./vision_reference.ts";

/** A checkpoint, and what is expected of it. */
interface Case {
  readonly name: string;
  readonly json: Json;
  readonly weights: Weights;
  readonly formula: (json: Json, weights: Weights, pixels: ArrayLike<number>) => VisionOutputs;
}

const BOTH_TOWERS: Json = {
  model_type: "siglip",
  architectures: ["SiglipModel"],
  text_config: { hidden_size: 16, vocab_size: 99, model_type: "siglip_text_model" },
  vision_config: SIGLIP,
  initializer_factor: 1,
};
const TEXT_TOWER: Weights = {
  "text_model.embeddings.token_embedding.weight": { shape: [4, 2], data: new Float32Array(8) },
  logit_scale: { shape: [1], data: [1] },
  logit_bias: { shape: [1], data: [-1] },
};
const inTower = (formula: Case["formula"]): Case["formula"] => (json, weights, pixels) =>
  formula(json.vision_config as Json, weights, pixels);

const CASES: readonly Case[] = [
  { name: "ViT with a classifier", json: VIT, weights: vitWeights(VIT, { labels: 3 }), formula: vit },
  {
    name: "ViT with a classifier and a pooler",
    json: { ...VIT, num_channels: 1 },
    weights: vitWeights({ ...VIT, num_channels: 1 }, { labels: 3, pooler: true }),
    formula: vit,
  },
  {
    name: "ViT by itself, with a pooler of another width",
    json: { ...VIT, architectures: ["ViTModel"], pooler_output_size: 5, pooler_act: "relu" },
    weights: vitWeights({ ...VIT, pooler_output_size: 5 }, { prefix: "", pooler: true }),
    formula: vit,
  },
  {
    name: "ViT by itself, without pooler and biases",
    json: { ...VIT, qkv_bias: false, layer_norm_eps: 0.1, hidden_act: "gelu_new", num_attention_heads: 4 },
    weights: vitWeights({ ...VIT, qkv_bias: false }, { prefix: "" }),
    formula: vit,
  },
  { name: "SigLIP's vision tower", json: SIGLIP, weights: siglipWeights(SIGLIP), formula: siglip },
  {
    name: "SigLIP's vision tower without a prefix",
    json: { ...SIGLIP, layer_norm_eps: 0.1, hidden_act: "gelu", num_attention_heads: 4 },
    weights: siglipWeights(SIGLIP, { prefix: "" }),
    formula: siglip,
  },
  {
    name: "SigLIP with a classifier",
    json: {
      model_type: "siglip",
      architectures: ["SiglipForImageClassification"],
      vision_config: SIGLIP,
      id2label: { 0: "cat", 1: "dog", 2: "heron" },
    },
    weights: siglipWeights(SIGLIP, { labels: 3 }),
    formula: inTower(siglip),
  },
  {
    name: "SigLIP with both towers",
    json: BOTH_TOWERS,
    weights: { ...siglipWeights(SIGLIP), ...TEXT_TOWER },
    formula: inTower(siglip),
  },
];

const QKV_PARALLEL = `${
  decodeURIComponent(new URL("../../examples/qkv-parallel", import.meta.url).pathname)
}:QKVParallel`;
const QUIET: PretrainedOptions = { onWarning: () => {} };

/** Pixels of two images, for a config. */
function pixelsFor(
  { image_size, num_channels, vision_config }: Json,
): { shape: number[]; data: Float32Array } {
  const size = pair(image_size ?? (vision_config as Json).image_size);
  const shape = [2, num_channels as number ?? 3, ...size];
  return { shape, data: values(shape.reduce((a, b) => a * b), 17) };
}

/** What a model makes of pixels: the hidden states, the embedding, and what forward gives. */
async function outputsOf(model: VisionModel, pixels: { shape: number[]; data: Float32Array }) {
  const { dtype, device } = model;
  const tensors = scope(() => {
    const x = Tensor.from(Array.from(pixels.data), { shape: pixels.shape, dtype, device });
    const hidden = model.hidden(x);
    return [hidden, model.embed(hidden), model.call(x)];
  });
  try {
    return await Promise.all(tensors.map(async (t) => Array.from(await t.data(), Number)));
  } finally {
    for (const t of tensors) t.dispose();
  }
}

/** The same by formulas. */
function expectedOf(
  { formula, json, weights }: Case,
  { shape, data }: { shape: number[]; data: Float32Array },
) {
  const each = data.length / shape[0];
  const images = Array.from(
    { length: shape[0] },
    (_, n) => formula(json, weights, data.subarray(n * each, (n + 1) * each)),
  );
  return [
    images.flatMap((image) => image.hidden.flat()),
    images.flatMap((image) => image.embedding),
    images.flatMap((image) => image.logits ?? image.embedding),
  ];
}

async function refusal(run: () => Promise<unknown>): Promise<KernelwrightError> {
  return await assertRejects(run, KernelwrightError);
}

describe("vision models", () => {
  gpuForFile();

  for (const one of CASES) {
    for (const device of ["reference", "webgpu"] as const) {
      it(`${one.name} is the formula on ${device}, and leaves no buffer behind`, async () => {
        await inModelFolder(one.json, one.weights, async (dir) => {
          const before = memory().tensors;
          const pixels = pixelsFor(one.json);
          {
            using model = await AutoModelForImageEmbedding.fromPretrained(dir, { ...QUIET, device });
            assertEquals(model.device, device);
            const [found, expected] = [await outputsOf(model, pixels), expectedOf(one, pixels)];
            found.forEach((v, i) => assertClose(v, expected[i], { relative: 0, absolute: 1e-4 }));
          }
          assertEquals(memory().tensors, before);
        });
      });
    }

    it(`${one.name} is near the formula in f16`, async (t) => {
      if (!currentGpu().features.has("shader-f16")) {
        return void await t.step({ name: "skipped: no shader-f16", ignore: true, fn: () => {} });
      }
      await inModelFolder(one.json, one.weights, async (dir) => {
        const pixels = pixelsFor(one.json);
        using model = await AutoModelForImageEmbedding.fromPretrained(dir, { ...QUIET, dtype: "f16" });
        assertEquals(model.dtype, "f16");
        const [found, expected] = [await outputsOf(model, pixels), expectedOf(one, pixels)];
        found.forEach((v, i) => assertClose(v, expected[i], { relative: 2e-2 }));
      });
    });
  }

  for (const [dtype, held] of [["F32", "f32"], ["F16", "f16"]] as const) {
    it(`save what they were loaded from, byte by byte, in ${dtype}`, async (t) => {
      if (held === "f16" && !currentGpu().features.has("shader-f16")) {
        return void await t.step({ name: "skipped: no shader-f16", ignore: true, fn: () => {} });
      }
      const preprocessor = { do_resize: false };
      for (const { name, json, weights } of CASES.filter(({ json }) => json !== BOTH_TOWERS)) {
        await inModelFolder(json, weights, async (dir) => {
          using model = await AutoModelForImageEmbedding.fromPretrained(dir, { dtype: held });
          await savePretrained(model, `${dir}/saved`);
          for (const file of ["model.safetensors", "config.json", "preprocessor_config.json"]) {
            const [a, b] = [
              await Deno.readFile(`${dir}/saved/${file}`),
              await Deno.readFile(`${dir}/${file}`),
            ];
            if (file === "config.json") {
              const parsed = [a, b].map((bytes) => JSON.parse(new TextDecoder().decode(bytes)));
              assertEquals(parsed[0], parsed[1], name);
            } else assertEquals(a, b, `${file} of ${name}`);
          }
        }, { dtype, preprocessor });
      }
    });
  }

  for (
    const [name, json, weights, formula, paths] of [
      ["ViT", { ...VIT, qkv_bias: false }, vitWeights({ ...VIT, qkv_bias: false }), vit, [
        "vit.encoder.layer.*.attention.attention.query",
        "vit.encoder.layer.*.attention.attention.key",
        "vit.encoder.layer.*.attention.attention.value",
      ]],
      ["SigLIP", SIGLIP, siglipWeights(SIGLIP), siglip, [
        "vision_model.encoder.layers.*.self_attn.q_proj",
        "vision_model.encoder.layers.*.self_attn.k_proj",
        "vision_model.encoder.layers.*.self_attn.v_proj",
      ]],
    ] as const
  ) {
    it(`take kernels while they load, and are saved without a trace of them: ${name}`, async () => {
      const kernels = {
        kernels: [{ fuseParallel: paths.map((path) => ["Linear", path] as const), with: QKV_PARALLEL }],
      };
      await inModelFolder(json, weights, async (dir) => {
        const before = memory().tensors;
        {
          using model = await AutoModelForImageEmbedding.fromPretrained(dir, { kernels, ready: true });
          assertEquals(kernelReport(model)?.swapped.length, 2);
          const pixels = pixelsFor(json);
          const [hidden, embedding] = await outputsOf(model, pixels);
          const expected = expectedOf({ name, json, weights, formula }, pixels);
          assertClose(hidden, expected[0], { relative: 0, absolute: 1e-4 });
          assertClose(embedding, expected[1], { relative: 0, absolute: 1e-4 });
          await savePretrained(model, `${dir}/saved`);
          const [a, b] = [`${dir}/saved/model.safetensors`, `${dir}/model.safetensors`].map((f) =>
            Deno.readFileSync(f)
          );
          assertEquals(a, b);
        }
        assertEquals(memory().tensors, before);
      });
    });
  }

  it("name the tower of texts beside them, and copy it when they are saved", async () => {
    await inModelFolder(BOTH_TOWERS, { ...siglipWeights(SIGLIP), ...TEXT_TOWER }, async (dir) => {
      const warnings: string[] = [];
      const onWarning = (line: string) => void warnings.push(line);
      using model = await AutoModelForImageEmbedding.fromPretrained(dir, { onWarning });
      assertEquals(warnings.length, 1);
      assert(warnings[0].includes("logit_scale") && warnings[0].includes("text_model"), warnings[0]);
      await savePretrained(model, `${dir}/saved`);
      using again = await AutoModelForImageEmbedding.fromPretrained(`${dir}/saved`, { onWarning });
      assertEquals([warnings.length, again.config.model_type], [2, "siglip"]);
      assertEquals(await keysOf(`${dir}/saved`), await keysOf(dir));
      const pixels = pixelsFor(BOTH_TOWERS);
      assertEquals(await outputsOf(again, pixels), await outputsOf(model, pixels));
    });
  });

  it("are made ready while they load and afterwards", async () => {
    await inModelFolder(VIT, vitWeights(VIT, { labels: 3 }), async (dir) => {
      const before = memory().tensors;
      {
        using model = await AutoModelForImageClassification.fromPretrained(dir, { ready: true });
        await model.ready({ tokens: [1, 3], probe: false });
        using out = model.rehearse(3, "webgpu");
        assertEquals(out.shape, [3, 3]);
      }
      assertEquals(memory().tensors, before);
    });
  });

  it("refuse to classify without a classifier, and pixels of another size", async () => {
    await inModelFolder(VIT, vitWeights(VIT), async (dir) => {
      const before = memory().tensors;
      const error = await refusal(() => AutoModelForImageClassification.fromPretrained(dir));
      assert(error.message.includes("classifier.weight"), error.message);
      assertEquals(memory().tensors, before);
      using model = await AutoModelForImageEmbedding.fromPretrained(dir, { device: "reference" });
      const small = Tensor.zeros([1, 3, 8, 13], { device: "reference" });
      const shape = await refusal(async () => await model.call(small).data());
      assertEquals(shape.code, "KW-TENSOR-SHAPE");
      assert(shape.message.includes("[1, 3, 8, 13]") && shape.message.includes("3, 13, 8"), shape.message);
      small.dispose();
    }, { preprocessor: { do_resize: false } });
  });

  it("refuse a folder of another kind by its model_type", async () => {
    await inModelFolder({ ...VIT, model_type: "llama" }, vitWeights(VIT), async (dir) => {
      const error = await refusal(() => AutoModelForImageEmbedding.fromPretrained(dir));
      assertEquals(error.code, "KW-MODEL-TYPE");
      assert(error.message.includes("siglip_vision_model"), error.message);
    });
  });
});

describe("classifyImage() and embedImage()", () => {
  gpuForFile();

  const image = { width: 8, height: 13, data: new Uint8Array(3 * 8 * 13).map((_, i) => i * 37 % 256) };
  const other = { ...image, data: image.data.map((v) => 255 - v) };
  const weights = vitWeights(VIT, { labels: 3 });
  const preprocessor = { do_resize: false };
  /** An image as the defaults of preprocessor_config.json make it. */
  const prepared = ({ data }: typeof image) =>
    Array.from(
      { length: 3 },
      (_, c) => Array.from({ length: 8 * 13 }, (_, i) => (data[i * 3 + c] / 255 - 0.5) / 0.5),
    )
      .flat();
  const close = (a: number, b: number) => assert(Math.abs(a - b) < 1e-4, `${a} and not ${b}`);

  it("name an image by the config's labels, the likeliest first, and a batch as its images", async () => {
    await inModelFolder(VIT, weights, async (dir) => {
      const before = memory().tensors;
      {
        using model = await AutoModelForImageClassification.fromPretrained(dir);
        const logits = vit(VIT, weights, prepared(image)).logits!;
        const total = logits.reduce((sum, x) => sum + Math.exp(x), 0);
        const found = await classifyImage(model, image);
        assertEquals(found.map(({ label }) => label).toSorted(), ["cat", "dog", "heron"]);
        for (const { label, id, probability } of found) {
          assertEquals(label, ["cat", "dog", "heron"][id]);
          close(probability, Math.exp(logits[id]) / total);
        }
        assertEquals(found, found.toSorted((a, b) => b.probability - a.probability));
        const batch = await classifyImage(model, [other, image], { topK: 1 });
        assertEquals(batch.map((labels) => labels.length), [1, 1]);
        assertEquals(batch[1][0].label, found[0].label);
        close(batch[1][0].probability, found[0].probability);
        const [first, second] = await embedImage(model, [image, other]);
        assertClose(first, vit(VIT, weights, prepared(image)).embedding, { relative: 0, absolute: 1e-4 });
        assertClose(second, await embedImage(model, other), { relative: 0, absolute: 1e-4 });
      }
      assertEquals(memory().tensors, before);
    }, { preprocessor });
  });

  it("drop the alpha of RGBA, and take clamped arrays and views", async () => {
    await inModelFolder(VIT, weights, async (dir) => {
      using model = await AutoModelForImageClassification.fromPretrained(dir, { device: "reference" });
      const rgba = new Uint8ClampedArray(4 * 8 * 13 + 8).fill(9).subarray(8);
      for (let i = 0; i < 8 * 13; i++) rgba.set(image.data.subarray(3 * i, 3 * i + 3), 4 * i);
      assertEquals(await embedImage(model, { ...image, data: rgba }), await embedImage(model, image));
    }, { preprocessor });
  });

  it("give each label a probability of its own where an image may have several, or there is one", async () => {
    const three = { ...VIT, problem_type: "multi_label_classification" };
    for (const [json, labels] of [[three, 3], [{ ...VIT, id2label: { 0: "cat" } }, 1]] as const) {
      const w = vitWeights(json, { labels });
      await inModelFolder(json, w, async (dir) => {
        using model = await AutoModelForImageClassification.fromPretrained(dir, { device: "reference" });
        const logits = vit(json, w, prepared(image)).logits!;
        const found = await classifyImage(model, image);
        assertEquals(found.length, labels);
        for (const { id, probability } of found) close(probability, 1 / (1 + Math.exp(-logits[id])));
      }, { preprocessor });
    }
  });

  it("call labels by their numbers where the config does not name them", async () => {
    const { id2label: _, ...json } = VIT;
    for (const [change, labels] of [[{}, 2], [{ num_labels: 4 }, 4]] as const) {
      await inModelFolder({ ...json, ...change }, vitWeights(VIT, { labels }), async (dir) => {
        using model = await AutoModelForImageClassification.fromPretrained(dir, { device: "reference" });
        const found = (await classifyImage(model, image)).toSorted((a, b) => a.id - b.id);
        assertEquals(found.map((l) => l.label), Array.from({ length: labels }, (_, i) => `LABEL_${i}`));
      }, { preprocessor });
    }
  });

  it("refuse what is no image, by name", async () => {
    await inModelFolder(VIT, weights, async (dir) => {
      using model = await AutoModelForImageClassification.fromPretrained(dir, { device: "reference" });
      for (
        const [wrong, says] of [
          [null, "image"],
          ["cat.png", "image"],
          [[], "images"],
          [{ ...image, width: -8 }, "width"],
          [{ ...image, height: 2.5 }, "height"],
          [{ ...image, data: [1, 2, 3] }, "data"],
          [{ ...image, data: image.data.subarray(1) }, "bytes"],
          [{ width: 0, height: 0, data: new Uint8Array() }, "bytes"],
          [[image, { ...image, height: 12 }], "images[1]"],
          [{ width: 13, height: 8, data: image.data }, "13"],
        ] as const
      ) {
        const error = await refusal(() => classifyImage(model, wrong as never));
        assertEquals(error.code, "KW-ARGUMENT", error.message);
        assert(error.message.includes(says), error.message);
      }
      for (const topK of [0, -1, 1.5, "2"]) {
        const error = await refusal(() => classifyImage(model, image, { topK } as never));
        assert(error.message.includes("topK"), error.message);
      }
      const error = await refusal(() => embedImage({} as never, image));
      assertEquals(error.code, "KW-ARGUMENT");
    }, { preprocessor });
  });

  it("refuse a model that cannot do it: without classifier, preprocessor, three channels, or a head", async () => {
    const options = { device: "reference" } as const;
    await inModelFolder(VIT, vitWeights(VIT), async (dir) => {
      using model = await AutoModelForImageEmbedding.fromPretrained(dir, options);
      assertEquals((await refusal(() => classifyImage(model, image))).code, "KW-MODEL-TYPE");
      const error = await refusal(() => embedImage(model, image));
      assert(error.message.includes("preprocessor_config.json"), error.message);
    });
    const gray = { ...VIT, num_channels: 1 };
    await inModelFolder(gray, vitWeights(gray), async (dir) => {
      using model = await AutoModelForImageEmbedding.fromPretrained(dir, options);
      assert((await refusal(() => embedImage(model, image))).message.includes("1 channels"));
    }, { preprocessor });
    const headless = { ...SIGLIP, image_size: 8, vision_use_head: false };
    await inModelFolder(headless, siglipWeights(headless, { head: false }), async (dir) => {
      using model = await AutoModelForImageEmbedding.fromPretrained(dir, options);
      const square = { width: 8, height: 8, data: image.data.subarray(0, 192) };
      assert((await refusal(() => embedImage(model, square))).message.includes("head"));
    }, { preprocessor });
  });

  it("refuse logits of NaN", async () => {
    const broken = { ...weights, "classifier.bias": { shape: [3], data: [0, NaN, 0] } };
    await inModelFolder(VIT, broken, async (dir) => {
      using model = await AutoModelForImageClassification.fromPretrained(dir, {
        device: "reference",
        nonFinite: "ignore",
      });
      const error = await refusal(() => classifyImage(model, image));
      assertEquals(error.code, "KW-GENERATE-NONFINITE");
      assert(error.message.includes('"classifier"'), error.message);
    }, { preprocessor });
  });
});

async function keysOf(dir: string): Promise<string[]> {
  await using checkpoint = await openCheckpoint(dir);
  return [...checkpoint.tensors.keys()].sort();
}
