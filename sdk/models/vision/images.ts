import { checkArgument, checkFields, checkInstance, refuseArgument } from "../../arguments.ts";
import { raise } from "../../errors.ts";
import { keep, scope, Tensor } from "../../tensor/mod.ts";
import { firstNonFinite } from "../non_finite.ts";
import { VisionModel } from "./model.ts";
import { resize } from "./resize.ts";

/** An image as raw pixels. */
export interface RawImage {
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** RGB or RGBA, row by row: `height · width · 3` or `· 4` bytes. Alpha is dropped: colours are taken as they are. */
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** A label of an image. */
export interface ImageLabel {
  /** What config.json's `id2label` calls it. */
  readonly label: string;
  /** Its place among the model's outputs. */
  readonly id: number;
  /** Of 0 to 1. */
  readonly probability: number;
}

/** Options of {@linkcode classifyImage}. */
export interface ClassifyOptions {
  /** How many labels an image gets; defaults to all. */
  readonly topK?: number;
}

/**
 * Names what is in an image: labels with their probabilities, the likeliest first. Probabilities sum up to 1, unless
 * the config says that an image may have several labels (`problem_type` "multi_label_classification") or there is one
 * alone: then each is a sigmoid of its own.
 *
 * @throws KW-MODEL-TYPE for a model without a classifier, or whose folder has no preprocessor_config.json; KW-ARGUMENT
 * for what is no image; KW-GENERATE-NONFINITE for logits of NaN or infinity.
 *
 * @example
 * ```ts
 * import { AutoModelForImageClassification, classifyImage } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * using model = await AutoModelForImageClassification.fromPretrained("./vision");
 * const image = { width: 2, height: 2, data: new Uint8Array(2 * 2 * 3).fill(128) }; // RGB, row by row
 * const [best] = await classifyImage(model, image, { topK: 1 });
 * assertEquals(["cat", "dog"].includes(best.label), true);
 * ```
 */
export function classifyImage(
  model: VisionModel,
  image: RawImage,
  options?: ClassifyOptions,
): Promise<ImageLabel[]>;
/** The same for several images, in one run. */
export function classifyImage(
  model: VisionModel,
  images: readonly RawImage[],
  options?: ClassifyOptions,
): Promise<ImageLabel[][]>;
export async function classifyImage(
  model: VisionModel,
  images: RawImage | readonly RawImage[],
  options: ClassifyOptions = {},
): Promise<ImageLabel[] | ImageLabel[][]> {
  const caller = "classifyImage()";
  checkInstance(`${caller}: model`, model, VisionModel);
  checkArgument(`${caller}: options`, options, "an object");
  const { topK = Infinity } = options;
  if (topK !== Infinity && !(Number.isSafeInteger(topK) && topK > 0)) {
    refuseArgument(`${caller}: options.topK`, topK, "a whole number of 1 or more");
  }
  if (!model.classifier) {
    raise(
      "KW-MODEL-TYPE",
      "Cannot classify images: the model has no classifier",
      "Load a checkpoint with one, or use embedImage().",
    );
  }
  const { labels, multi_label } = model.config;
  const forward = (pixels: Tensor) => model.call(pixels);
  const rows = await run(model, images, caller, forward);
  const broken = rows.findIndex((logits) => !logits.every(Number.isFinite));
  if (broken >= 0) {
    const all = listOf(images, caller);
    const site = await firstNonFinite(model, () => forward(pixelsOf(model, all, caller)));
    raise(
      "KW-GENERATE-NONFINITE",
      `Cannot classify images[${broken}]: its logits hold NaN or infinity` +
        (site === undefined
          ? ""
          : `. The first module whose output is not finite is ${JSON.stringify(site)}`),
      'Look at its weights (load with nonFinite: "error") and its kernel; where f16 overflows, load with dtype: "f32".',
      site === undefined ? undefined : { site },
    );
  }
  const found = rows.map((logits) => {
    const probabilities = multi_label ? logits.map((x) => 1 / (1 + Math.exp(-x))) : softmax(logits);
    return probabilities
      .map((probability, id) => ({ label: labels[id], id, probability }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, topK);
  });
  return Array.isArray(images) ? found : found[0];
}

/**
 * The embedding of an image: what ViT's pooler makes of the image's token, or that token where there is no pooler; what
 * SigLIP's head pools. It is not normalised.
 *
 * @throws KW-MODEL-TYPE where the folder has no preprocessor_config.json; KW-ARGUMENT for what is no image.
 *
 * @example
 * ```ts
 * import { AutoModelForImageEmbedding, embedImage, imagesToPixels, type VisionModel } from "@kernelwright/sdk/models";
 * import { assertEquals } from "@std/assert";
 *
 * using model: VisionModel = await AutoModelForImageEmbedding.fromPretrained("./vision");
 * const image = { width: 2, height: 2, data: new Uint8Array(2 * 2 * 3).fill(128) }; // RGB, row by row
 * assertEquals((await embedImage(model, image)).length, model.config.hidden_size);
 * using pixels = imagesToPixels(model, [image]); // what the model is run on
 * assertEquals(pixels.shape, [1, 3, 8, 8]);
 * ```
 */
export function embedImage(model: VisionModel, image: RawImage): Promise<Float32Array>;
/** The same for several images, in one run. */
export function embedImage(model: VisionModel, images: readonly RawImage[]): Promise<Float32Array[]>;
export async function embedImage(
  model: VisionModel,
  images: RawImage | readonly RawImage[],
): Promise<Float32Array | Float32Array[]> {
  checkInstance("embedImage(): model", model, VisionModel);
  const rows = await run(
    model,
    images,
    "embedImage()",
    (pixels) => model.embed(model.hidden(model.checked(pixels))),
  );
  const found = rows.map((row) => Float32Array.from(row));
  return Array.isArray(images) ? found : found[0];
}

/**
 * Images as the model takes them: resized, rescaled and normalised, as preprocessor_config.json says.
 *
 * See the example of {@linkcode embedImage}.
 *
 * @returns `[images, num_channels, rows, columns]`, of the model's dtype and on its device.
 * @throws KW-MODEL-TYPE, KW-ARGUMENT
 */
export function imagesToPixels(model: VisionModel, images: readonly RawImage[]): Tensor {
  return pixelsOf(model, images, "imagesToPixels()");
}

// ---------------------------------------------------------------------------

function pixelsOf(model: VisionModel, images: readonly RawImage[], caller: string): Tensor {
  checkInstance(`${caller}: model`, model, VisionModel);
  checkArgument(`${caller}: images`, images, "an array");
  const { image_processor: processor, config: { num_channels, image_size: [rows, columns] } } = model;
  if (!processor) {
    raise(
      "KW-MODEL-TYPE",
      "Cannot prepare images: the model's folder has no preprocessor_config.json",
      "Add the one that the model was published with, or give the model pixels of your own.",
    );
  }
  if (num_channels !== 3) {
    raise(
      "KW-MODEL-TYPE",
      `Cannot prepare images: the model takes ${num_channels} channels, and images have red, green and blue`,
      "Give the model pixels of your own.",
      { json: "num_channels" },
    );
  }
  if (images.length === 0) refuseArgument(`${caller}: images`, images, "one image or more");
  const area = rows * columns;
  const values = new Float32Array(images.length * 3 * area);
  images.forEach((image, n) => {
    let pixels = rgb(image, `${caller}: images[${n}]`);
    if (processor.resize) {
      const { size: [height, width], filter } = processor.resize;
      pixels = resize(pixels, 3, width, height, filter);
    } else if (pixels.height !== rows || pixels.width !== columns) {
      raise(
        "KW-ARGUMENT",
        `Cannot call ${caller}: images[${n}] has ${pixels.height} rows of ${pixels.width} pixels`,
        `Give ${rows} rows of ${columns}: preprocessor_config.json says that images are not resized.`,
      );
    }
    processor.channels.forEach(({ factor, mean, std }, c) => {
      const start = (n * 3 + c) * area;
      for (let i = 0; i < area; i++) values[start + i] = (pixels.data[i * 3 + c] * factor - mean) / std;
    });
  });
  const { dtype, device } = model;
  return Tensor.from(values, { shape: [images.length, 3, rows, columns], dtype, device });
}

/** An image as RGB, checked. */
function rgb(image: RawImage, at: string): { width: number; height: number; data: Uint8Array } {
  checkFields(at, image, { width: "a count", height: "a count" });
  const { width, height, data } = image;
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) {
    refuseArgument(`${at}.data`, data, "a Uint8Array of RGB or RGBA");
  }
  const area = width * height;
  if (area === 0 || data.length !== 3 * area && data.length !== 4 * area) {
    raise(
      "KW-ARGUMENT",
      `Cannot call ${at}: its data has ${data.length} bytes for ${height} rows of ${width} pixels`,
      `Give ${3 * area} bytes of RGB or ${4 * area} of RGBA, and at least one pixel.`,
    );
  }
  if (data.length === 3 * area) {
    return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length) };
  }
  const opaque = new Uint8Array(3 * area);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) opaque[3 * i + c] = data[4 * i + c];
  }
  return { width, height, data: opaque };
}

function listOf(images: RawImage | readonly RawImage[], caller: string): readonly RawImage[] {
  if (typeof images !== "object" || images === null) {
    refuseArgument(`${caller}: image`, images, "an image, or an array of them");
  }
  return Array.isArray(images) ? images as readonly RawImage[] : [images as RawImage];
}

/** Runs a model on images; a row of numbers for each. */
async function run(
  model: VisionModel,
  images: RawImage | readonly RawImage[],
  caller: string,
  forward: (pixels: Tensor) => Tensor,
): Promise<number[][]> {
  const list = listOf(images, caller);
  using out = scope(() => keep(forward(pixelsOf(model, list, caller))));
  const values = Array.from(await out.data(), Number);
  const width = values.length / list.length;
  return list.map((_, n) => values.slice(n * width, (n + 1) * width));
}

function softmax(logits: readonly number[]): number[] {
  const most = logits.reduce((a, b) => Math.max(a, b));
  const shares = logits.map((x) => Math.exp(x - most));
  const total = shares.reduce((a, b) => a + b, 0);
  return shares.map((share) => share / total);
}
