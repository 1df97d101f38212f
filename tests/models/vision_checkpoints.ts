/** Tiny checkpoints of vision models with random weights, in folders of their own. */
import { fileWith, type GivenTensor } from "../checkpoint/files.ts";
import { values } from "../helpers/random.ts";
import type { Json, Weights } from "./vision_reference.ts";

/** ViT with images and patches that are not square, and rows that no patch covers. */
export const VIT: Json = {
  model_type: "vit",
  architectures: ["ViTForImageClassification"],
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  image_size: [13, 8],
  patch_size: [4, 2],
  id2label: { 0: "cat", 1: "dog", 2: "heron" },
};

/** SigLIP's vision tower. */
export const SIGLIP: Json = {
  model_type: "siglip_vision_model",
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  image_size: 12,
  patch_size: 4,
};

/** The weights of ViT, under `vit.` or without. */
export function vitWeights(
  json: Json,
  parts: { readonly prefix?: string; readonly pooler?: boolean; readonly labels?: number } = {},
): Weights {
  const { prefix = "vit.", pooler, labels } = parts;
  const { hidden_size: h, intermediate_size: m, num_channels: c = 3 } = json as Record<string, number>;
  const [[rows, columns], [height, width]] = [pair(json.patch_size), pair(json.image_size)];
  const patches = Math.floor(height / rows) * Math.floor(width / columns);
  const shapes: Record<string, number[]> = {
    [`${prefix}embeddings.cls_token`]: [1, 1, h],
    [`${prefix}embeddings.position_embeddings`]: [1, patches + 1, h],
    [`${prefix}embeddings.patch_embeddings.projection.weight`]: [h, c, rows, columns],
    [`${prefix}embeddings.patch_embeddings.projection.bias`]: [h],
    ...norm(`${prefix}layernorm`, h),
  };
  for (let i = 0; i < (json.num_hidden_layers as number); i++) {
    const at = `${prefix}encoder.layer.${i}`;
    const bias = json.qkv_bias !== false;
    for (const part of ["query", "key", "value"]) {
      Object.assign(shapes, linear(`${at}.attention.attention.${part}`, h, h, bias));
    }
    Object.assign(
      shapes,
      linear(`${at}.attention.output.dense`, h, h),
      linear(`${at}.intermediate.dense`, m, h),
      linear(`${at}.output.dense`, h, m),
      norm(`${at}.layernorm_before`, h),
      norm(`${at}.layernorm_after`, h),
    );
  }
  if (pooler) {
    Object.assign(shapes, linear(`${prefix}pooler.dense`, json.pooler_output_size as number || h, h));
  }
  if (labels) Object.assign(shapes, linear("classifier", labels, h));
  return filled(shapes);
}

/** The weights of SigLIP's vision tower, under `vision_model.` or without. */
export function siglipWeights(
  json: Json,
  parts: { readonly prefix?: string; readonly head?: boolean; readonly labels?: number } = {},
): Weights {
  const { prefix = "vision_model.", head = true, labels } = parts;
  const { hidden_size: h, intermediate_size: m, num_channels: c = 3 } = json as Record<string, number>;
  const [[rows, columns], [height, width]] = [pair(json.patch_size), pair(json.image_size)];
  const mlp = (at: string) => ({ ...linear(`${at}.fc1`, m, h), ...linear(`${at}.fc2`, h, m) });
  const shapes: Record<string, number[]> = {
    ...linear(`${prefix}embeddings.patch_embedding`, h, 0),
    [`${prefix}embeddings.patch_embedding.weight`]: [h, c, rows, columns],
    [`${prefix}embeddings.position_embedding.weight`]: [
      Math.floor(height / rows) * Math.floor(width / columns),
      h,
    ],
    ...norm(`${prefix}post_layernorm`, h),
  };
  for (let i = 0; i < (json.num_hidden_layers as number); i++) {
    const at = `${prefix}encoder.layers.${i}`;
    for (const part of ["q", "k", "v", "out"]) {
      Object.assign(shapes, linear(`${at}.self_attn.${part}_proj`, h, h));
    }
    Object.assign(shapes, norm(`${at}.layer_norm1`, h), norm(`${at}.layer_norm2`, h), mlp(`${at}.mlp`));
  }
  if (head) {
    Object.assign(shapes, {
      [`${prefix}head.probe`]: [1, 1, h],
      [`${prefix}head.attention.in_proj_weight`]: [3 * h, h],
      [`${prefix}head.attention.in_proj_bias`]: [3 * h],
      ...linear(`${prefix}head.attention.out_proj`, h, h),
      ...norm(`${prefix}head.layernorm`, h),
      ...mlp(`${prefix}head.mlp`),
    });
  }
  if (labels) Object.assign(shapes, linear("classifier", labels, h));
  return filled(shapes);
}

/** Runs `use` with a folder of that checkpoint, which is removed afterwards. */
export async function inModelFolder(
  json: Json,
  weights: Weights,
  use: (dir: string) => Promise<void>,
  options: { readonly preprocessor?: Json | null; readonly dtype?: "F32" | "F16" } = {},
): Promise<void> {
  const { preprocessor, dtype = "F32" } = options;
  const dir = await Deno.makeTempDir();
  try {
    const tensors = Object.entries(weights).map(([key, { shape, data }]): [string, GivenTensor] => {
      const typed = dtype === "F32" ? Float32Array.from(data) : Float16Array.from(data);
      return [key, { dtype, shape, bytes: new Uint8Array(typed.buffer) }];
    });
    await Deno.writeFile(`${dir}/model.safetensors`, fileWith(Object.fromEntries(tensors)));
    await Deno.writeTextFile(`${dir}/config.json`, JSON.stringify(json));
    if (preprocessor) {
      await Deno.writeTextFile(`${dir}/preprocessor_config.json`, JSON.stringify(preprocessor));
    }
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

// ---------------------------------------------------------------------------

const linear = (at: string, outputs: number, inputs: number, bias = true) => ({
  [`${at}.weight`]: [outputs, inputs],
  ...bias && { [`${at}.bias`]: [outputs] },
});
const norm = (at: string, h: number) => ({ [`${at}.weight`]: [h], [`${at}.bias`]: [h] });

/** An `image_size` or a `patch_size` as rows and columns. */
export function pair(value: unknown): readonly [number, number] {
  return typeof value === "number" ? [value, value] : value as [number, number];
}

/** Random weights, by their names: a part that is left out changes no other's. */
function filled(shapes: Readonly<Record<string, readonly number[]>>): Weights {
  const keys = Object.keys(shapes).sort();
  return Object.fromEntries(keys.map((key) => {
    const shape = shapes[key];
    const seed = [...key.replace(/^(vit|vision_model)\./, "")].reduce(
      (n, c) => (n * 31 + c.charCodeAt(0)) % 65_521,
      7,
    );
    const around = /norm.*weight$/.test(key) ? 1 : 0;
    const drawn = values(shape.reduce((a, b) => a * b, 1), seed, { spread: 0.5 });
    return [key, { shape, data: drawn.map((x) => Math.f16round(x + around)) }];
  }));
}
