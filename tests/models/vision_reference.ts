/**
 * ViT and SigLIP's vision tower as formulas, in float64 and with plain arrays: what the models are held against. Defaults
 * of absent keys are those of the published code.
 */

/** A config.json. */
export type Json = Readonly<Record<string, unknown>>;
/** Tensors by their keys, row-major. */
export type Weights = Readonly<
  Record<string, { readonly shape: readonly number[]; readonly data: ArrayLike<number> }>
>;
/** Rows of numbers. */
export type Rows = number[][];

/** What a model makes of one image. */
export interface VisionOutputs {
  /** After the last norm, a row for each token. */
  readonly hidden: Rows;
  /** The embedding. */
  readonly embedding: number[];
  /** A number for each label, where there is a classifier. */
  readonly logits?: number[];
}

/** ViT. `pixels` is `[channels, rows, columns]`, flat. */
export function vit(json: Json, w: Weights, pixels: ArrayLike<number>): VisionOutputs {
  const p = Object.keys(w).some((key) => key.startsWith("vit.")) ? "vit." : "";
  const eps = (json.layer_norm_eps ?? 1e-12) as number;
  const heads = (json.num_attention_heads ?? 12) as number;
  const act = ACTIVATIONS[(json.hidden_act ?? "gelu") as string];
  const patches = cut(json, w, `${p}embeddings.patch_embeddings.projection`, pixels);
  let x = plus(
    [rowsOf(w, `${p}embeddings.cls_token`)[0], ...patches],
    rowsOf(w, `${p}embeddings.position_embeddings`),
  );
  for (let i = 0; i < (json.num_hidden_layers as number); i++) {
    const at = `${p}encoder.layer.${i}`;
    const normed = norm(w, `${at}.layernorm_before`, x, eps);
    const [q, k, v] = ["query", "key", "value"].map((n) =>
      linear(w, `${at}.attention.attention.${n}`, normed)
    );
    x = plus(x, linear(w, `${at}.attention.output.dense`, attend(q, k, v, heads)));
    const middle = linear(w, `${at}.intermediate.dense`, norm(w, `${at}.layernorm_after`, x, eps));
    x = plus(x, linear(w, `${at}.output.dense`, middle.map((row) => row.map(act))));
  }
  const hidden = norm(w, `${p}layernorm`, x, eps);
  const pooler = `${p}pooler.dense`;
  const embedding = `${pooler}.weight` in w
    ? linear(w, pooler, [hidden[0]])[0].map(ACTIVATIONS[(json.pooler_act ?? "tanh") as string])
    : hidden[0];
  return { hidden, embedding, logits: classify(w, hidden[0]) };
}

/** SigLIP's vision tower. `json` is its own config. */
export function siglip(json: Json, w: Weights, pixels: ArrayLike<number>): VisionOutputs {
  const p = Object.keys(w).some((key) => key.startsWith("vision_model.")) ? "vision_model." : "";
  const eps = (json.layer_norm_eps ?? 1e-6) as number;
  const heads = (json.num_attention_heads ?? 12) as number;
  const act = ACTIVATIONS[(json.hidden_act ?? "gelu_pytorch_tanh") as string];
  const mlp = (at: string, rows: Rows) =>
    linear(w, `${at}.fc2`, linear(w, `${at}.fc1`, rows).map((row) => row.map(act)));
  let x = plus(
    cut(json, w, `${p}embeddings.patch_embedding`, pixels),
    rowsOf(w, `${p}embeddings.position_embedding.weight`),
  );
  for (let i = 0; i < (json.num_hidden_layers as number); i++) {
    const at = `${p}encoder.layers.${i}`;
    const normed = norm(w, `${at}.layer_norm1`, x, eps);
    const [q, k, v] = ["q_proj", "k_proj", "v_proj"].map((n) => linear(w, `${at}.self_attn.${n}`, normed));
    x = plus(x, linear(w, `${at}.self_attn.out_proj`, attend(q, k, v, heads)));
    x = plus(x, mlp(`${at}.mlp`, norm(w, `${at}.layer_norm2`, x, eps)));
  }
  const hidden = norm(w, `${p}post_layernorm`, x, eps);
  const mean = hidden[0].map((_, i) => hidden.reduce((sum, row) => sum + row[i], 0) / hidden.length);
  const logits = classify(w, mean);
  const head = `${p}head`;
  if (!(`${head}.probe` in w)) return { hidden, embedding: [], logits };
  const [weight, bias] = [
    rowsOf(w, `${head}.attention.in_proj_weight`),
    w[`${head}.attention.in_proj_bias`].data,
  ];
  const n = hidden[0].length;
  const project = (rows: Rows, part: number) =>
    rows.map((row) =>
      Array.from({ length: n }, (_, o) => dot(weight[part * n + o], row) + bias[part * n + o])
    );
  const attended = attend(
    project(rowsOf(w, `${head}.probe`), 0),
    project(hidden, 1),
    project(hidden, 2),
    heads,
  );
  const pooled = linear(w, `${head}.attention.out_proj`, attended);
  const [embedding] = plus(pooled, mlp(`${head}.mlp`, norm(w, `${head}.layernorm`, pooled, eps)));
  return { hidden, embedding, logits };
}

// ---------------------------------------------------------------------------

const tanhGelu = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

const ACTIVATIONS: Readonly<Record<string, (x: number) => number>> = {
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  gelu_pytorch_tanh: tanhGelu,
  gelu_new: tanhGelu,
  quick_gelu: (x) => x / (1 + Math.exp(-1.702 * x)),
  relu: (x) => Math.max(0, x),
  tanh: Math.tanh,
};

/** `2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (1 · 3 · … · (2n + 1))`. */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; n < 200; n++) sum += term *= 2 * x * x / (2 * n + 1);
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
}

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i], 0);
const plus = (a: Rows, b: Rows) => a.map((row, t) => row.map((x, i) => x + b[t][i]));

/** A tensor's rows: all dimensions but the last are one. */
function rowsOf(w: Weights, key: string): Rows {
  const { shape, data } = w[key];
  const n = shape.at(-1)!;
  return Array.from(
    { length: data.length / n },
    (_, t) => Array.from({ length: n }, (_, i) => data[t * n + i]),
  );
}

function linear(w: Weights, at: string, rows: Rows): Rows {
  const weight = rowsOf(w, `${at}.weight`);
  const bias = w[`${at}.bias`]?.data;
  return rows.map((row) => weight.map((line, o) => dot(line, row) + (bias?.[o] ?? 0)));
}

function norm(w: Weights, at: string, rows: Rows, eps: number): Rows {
  const [weight, bias] = [w[`${at}.weight`].data, w[`${at}.bias`].data];
  return rows.map((row) => {
    const mean = row.reduce((a, b) => a + b) / row.length;
    const variance = row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / row.length;
    return row.map((x, i) => (x - mean) / Math.sqrt(variance + eps) * weight[i] + bias[i]);
  });
}

function attend(q: Rows, k: Rows, v: Rows, heads: number): Rows {
  const size = q[0].length / heads;
  return q.map((query) =>
    Array.from({ length: heads }, (_, h) => {
      const own = (row: number[]) => row.slice(h * size, (h + 1) * size);
      const scores = k.map((key) => Math.exp(dot(own(query), own(key)) / Math.sqrt(size)));
      const total = scores.reduce((a, b) => a + b);
      return own(v[0]).map((_, i) => v.reduce((sum, row, t) => sum + own(row)[i] * scores[t] / total, 0));
    }).flat()
  );
}

/** Patches in rows, projected. */
function cut(json: Json, w: Weights, at: string, pixels: ArrayLike<number>): Rows {
  const [height, width] = [json.image_size ?? 224].flat().concat(json.image_size ?? 224) as number[];
  const [outputs, channels, rows, columns] = w[`${at}.weight`].shape;
  const [weight, bias] = [w[`${at}.weight`].data, w[`${at}.bias`].data];
  const found: Rows = [];
  for (let y = 0; y + rows <= height; y += rows) {
    for (let x = 0; x + columns <= width; x += columns) {
      found.push(Array.from({ length: outputs }, (_, o) => {
        let sum = bias[o];
        for (let c = 0; c < channels; c++) {
          for (let i = 0; i < rows; i++) {
            for (let j = 0; j < columns; j++) {
              sum += weight[((o * channels + c) * rows + i) * columns + j] *
                pixels[(c * height + y + i) * width + x + j];
            }
          }
        }
        return sum;
      }));
    }
  }
  return found;
}

function classify(w: Weights, row: number[]): number[] | undefined {
  return "classifier.weight" in w ? linear(w, "classifier", [row])[0] : undefined;
}
