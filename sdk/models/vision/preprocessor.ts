import * as z from "zod";
import { type Folder, readText } from "../../checkpoint/mod.ts";
import { raise } from "../../errors.ts";
import { joinFile } from "../../host/mod.ts";
import { checkKeys, short, withoutNulls } from "../config_keys.ts";
import { type ImageSize, parse, type VisionConfig } from "./config.ts";
import { type Filter, FILTERS } from "./resize.ts";

/** How images become a model's input. */
export interface ImageProcessor {
  /** The size that images are brought to, and how; undefined where they must have the model's already. */
  readonly resize?: { readonly size: ImageSize; readonly filter: Filter };
  /** A channel's value v, of 0 to 255, becomes `(v · factor − mean) / std`. */
  readonly channels: readonly { readonly factor: number; readonly mean: number; readonly std: number }[];
}

/**
 * Reads a folder's preprocessor_config.json.
 *
 * @returns Undefined where there is none.
 * @throws KW-CONFIG-VALUE for what is not understood, by name.
 */
export async function readImageProcessor(
  folder: Folder,
  config: VisionConfig,
): Promise<ImageProcessor | undefined> {
  const text = await readText(folder, NAME);
  if (text === undefined) return undefined;
  const file = joinFile(folder.name, NAME);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    raise(
      "KW-CONFIG-VALUE",
      `Cannot read ${JSON.stringify(file)} as JSON: ${(cause as Error).message}`,
      undefined,
      {
        file,
      },
      cause,
    );
  }
  return parseImageProcessor(json, config, file);
}

/**
 * Checks a preprocessor_config.json. Keys that are null count as absent.
 *
 * @param config The model that the images are for.
 * @throws KW-CONFIG-VALUE
 */
export function parseImageProcessor(value: unknown, config: VisionConfig, file?: string): ImageProcessor {
  const refuse = (field: string | undefined, what: string, fix?: string): never =>
    raise("KW-CONFIG-VALUE", `Cannot use ${NAME}: ${field ? `${field}: ` : ""}${what}`, fix, {
      file,
      json: field,
    });
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(undefined, `it is ${short(value)} and not an object`);
  }
  const json = withoutNulls(value as Record<string, unknown>);
  // Newer files name all the sizes that there could be.
  if (typeof json.size === "object" && !Array.isArray(json.size)) {
    json.size = withoutNulls(json.size as Record<string, unknown>);
  }
  for (const key of ["image_processor_type", "feature_extractor_type"]) {
    if (key in json && !PROCESSORS.test(String(json[key]))) {
      refuse(key, `${short(json[key])} is not known`, "Known: those of ViT and of SigLIP.");
    }
  }
  const [unknown] = checkKeys(json, KEYS, file, NAME).filter((key) => json[key] !== false);
  if (unknown !== undefined) {
    refuse(unknown, `${short(json[unknown])} is not understood, and may change the results`);
  }
  const c = parse(shape, json, file, NAME);
  const count = config.num_channels;
  const each = (field: string, numbers: number | number[]): readonly number[] => {
    const list = typeof numbers === "number" ? Array<number>(count).fill(numbers) : numbers;
    if (list.length !== count) refuse(field, `${list.length} numbers for num_channels ${count}`);
    return list;
  };
  const [means, stds] = [each("image_mean", c.image_mean), each("image_std", c.image_std)];
  const channels = means.map((mean, i) => ({
    factor: c.do_rescale ? c.rescale_factor : 1,
    mean: c.do_normalize ? mean : 0,
    std: c.do_normalize ? stds[i] : 1,
  }));
  if (!c.do_resize) return { channels };
  const size: ImageSize = typeof c.size === "number" ? [c.size, c.size] : [c.size.height, c.size.width];
  if (size.some((n, d) => n !== config.image_size[d])) {
    refuse(
      "size",
      `images of ${size.join(" × ")} for a model of image_size ${config.image_size.join(" × ")}`,
    );
  }
  const siglip = config.model_type.startsWith("siglip");
  const resample = c.resample ?? (siglip ? 3 : 2);
  const filter = FILTERS[resample];
  if (!filter) {
    const known = Object.entries(FILTERS).map(([n, f]) => `${n} (${f.name})`).join(", ");
    refuse("resample", `${resample} is not supported`, `Supported: ${known}.`);
  }
  return { resize: { size, filter }, channels };
}

// ---------------------------------------------------------------------------

const NAME = "preprocessor_config.json";
const PROCESSORS = /^(ViT|Siglip)(ImageProcessor|FeatureExtractor)(Fast|Pil)?$/;

/** A key in none of these lists is refused, unless it switches something off. */
const KEYS = {
  used: [
    ..."do_resize size resample do_rescale rescale_factor do_normalize image_mean image_std".split(" "),
    ..."image_processor_type feature_extractor_type".split(" "),
  ],
  // Images come as pixels of RGB: there is nothing to convert, nor a crop unless it is switched on.
  harmless: [
    ..."processor_class do_convert_rgb crop_size pad_size device return_tensors disable_grouping".split(" "),
    ..."_valid_processor_keys default_to_square _processor_class".split(" "),
  ],
  refused: {
    do_center_crop: [false],
    do_pad: [false],
    data_format: ["channels_first"],
    input_data_format: [],
  },
};

const finite = z.number().finite();
const positive = finite.positive();
const side = z.number().int().positive().max(65_536);

// The defaults are those of published image processors of both families.
const shape = {
  do_resize: z.boolean().default(true),
  size: z.union([side, z.strictObject({ height: side, width: side })]).default(224),
  resample: z.number().int().optional(),
  do_rescale: z.boolean().default(true),
  rescale_factor: finite.default(1 / 255),
  do_normalize: z.boolean().default(true),
  image_mean: z.union([finite, z.array(finite)]).default(0.5),
  image_std: z.union([positive, z.array(positive)]).default(0.5),
};
