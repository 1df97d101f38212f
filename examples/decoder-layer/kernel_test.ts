import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  fuses,
  keep,
  kernel,
  kernelize,
  KernelwrightError,
  Layout,
  layout,
  openGpu,
  type Parameter,
  parameter,
  rename,
  scope,
  Tensor,
  unkernelize,
} from "@kernelwright/sdk";
import { fuse, replace } from "@kernelwright/sdk/config";
import { type KVCache, LlamaAttention, RMSNorm } from "@kernelwright/sdk/nn";
import {
  buildCausalLM,
  type CausalLM,
  type DecoderConfig,
  LlamaDecoderLayer,
  parseDecoderConfig,
} from "@kernelwright/sdk/models";
import { type Dims, randomSource, testKernel } from "@kernelwright/sdk/testing";
import { DecoderLayer } from "./mod.ts";

const TYPES = ["llama", "qwen2", "qwen3"];

function configOf(
  model_type: string,
  more: Partial<Record<keyof DecoderConfig, unknown>> = {},
): DecoderConfig {
  return parseDecoderConfig({
    model_type,
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 12,
    vocab_size: 40,
    max_position_embeddings: 32,
    ...more,
  });
}

// type: an index of TYPES. With places, there is a cache that has those beyond the tokens.
const shapes: Dims[] = [
  {
    batch: 2,
    tokens: 3,
    width: 24,
    inner: 20,
    groups: 2,
    kv: 2,
    half: 4,
    type: 0,
    bias: 0,
    places: 9,
    padded: 1,
    before: 4,
  },
  {
    batch: 1,
    tokens: 1,
    width: 4,
    inner: 4,
    groups: 1,
    kv: 1,
    half: 2,
    type: 2,
    bias: 1,
    places: 0,
    padded: 0,
    before: 0,
  },
  {
    batch: 1,
    tokens: 17,
    width: 48,
    inner: 68,
    groups: 2,
    kv: 2,
    half: 8,
    type: 2,
    bias: 0,
    places: 0,
    padded: 0,
    before: 0,
  },
  {
    batch: 3,
    tokens: 5,
    width: 32,
    inner: 12,
    groups: 2,
    kv: 2,
    half: 3,
    type: 1,
    bias: 0,
    places: 40,
    padded: 1,
    before: 31,
  },
];

testKernel(DecoderLayer, {
  modules: ({ width, inner, groups, kv, half, type, bias }) => [
    new LlamaDecoderLayer(
      configOf(TYPES[type], {
        hidden_size: width,
        intermediate_size: inner,
        num_attention_heads: groups * kv,
        num_key_value_heads: kv,
        head_dim: 2 * half,
        attention_bias: bias === 1,
      }),
      0,
    ),
  ],
  inputs: ({ batch, tokens, width, kv, half, places, padded, before }) => [
    [batch, tokens, width],
    { shape: [1], dtype: "i32", values: () => before },
    { shape: [padded ? batch : 0], dtype: "i32", values: (row) => row % (before + 1) },
    { shape: [places ? batch : 0, before + tokens + places, kv, 2 * half], written: true },
    { shape: [places ? batch : 0, before + tokens + places, kv, 2 * half], written: true },
  ],
  arguments: ([x, position, starts, keys, values]) => [x, {
    position,
    starts: starts.size ? starts : undefined,
    cache: keys.size ? { keys: [keys], values: [values] } : undefined,
  }],
  shapes,
  sizes: {
    width: { min: 4, max: 40, multipleOf: 4 },
    inner: { min: 4, max: 40, multipleOf: 4 },
    groups: { min: 2, max: 4, multipleOf: 2 },
    kv: { max: 3 },
    half: { max: 5 },
    type: { min: 0, max: 2 },
    bias: { min: 0, max: 1 },
    places: { min: 0, max: 3 },
    padded: { min: 0, max: 1 },
    before: { min: 0, max: 5 },
  },
  runs: 6, // each size of a head is a shader to compile
});

/** A small model with random weights. */
async function randomModel(config: DecoderConfig): Promise<CausalLM> {
  await openGpu();
  const model = buildCausalLM(config);
  const random = randomSource(7);
  for (const [, p] of model.namedParameters()) {
    if (p.materialized) continue;
    const scale = p.shape.length > 1 ? 1 / Math.sqrt(p.shape[1]) : 1;
    const values = Float32Array.from({ length: p.size }, () => (random() * 2 - 1) * scale);
    p.assign(keep(Tensor.from(values, { shape: p.shape })));
  }
  return model;
}

async function logits(model: CausalLM, ids: readonly number[], cache?: KVCache): Promise<number[]> {
  using out = keep(
    scope(() => model.call(Tensor.from(Int32Array.from(ids), { shape: [1, ids.length] }), { cache })),
  );
  return [...await out.data()];
}

function assertNear(actual: readonly number[], expected: readonly number[], what: string): void {
  const off = Math.max(...actual.map((a, i) => Math.abs(a - expected[i])));
  assert(actual.length === expected.length && off < 1e-5, `${what}: off by ${off}`);
}

/** An attempt to fuse over the residual from inside the layer. */
const inside = fuses({ attention: LlamaAttention }, { norm: RMSNorm });

@layout({ site: inside, conversions: [rename("norm.weight", "scale")] })
class AttentionNormLayout extends Layout {
  scale: Parameter;

  constructor(_attention: LlamaAttention, norm: RMSNorm) {
    super();
    this.scale = parameter([norm.hidden_size]);
  }
}

@kernel({ site: inside, layout: AttentionNormLayout })
class AttentionNorm {
  forward(this: AttentionNormLayout, hidden_states: Tensor): Tensor {
    return hidden_states;
  }
}

const config = { kernels: [replace("LlamaDecoderLayer", DecoderLayer)] };

describe("DecoderLayer in a model", () => {
  for (const type of TYPES) {
    it(`${type}: gives the logits of the original, and gives the weights back byte for byte`, async () => {
      using model = await randomModel(configOf(type));
      const before = new Map<string, number[]>();
      for (const [name, p] of model.namedParameters()) before.set(name, [...await p.data()]);
      const expected = await logits(model, [3, 1, 4, 1, 5, 9]);
      assertEquals((await kernelize(model, config)).swapped.length, 2);
      assertNear(await logits(model, [3, 1, 4, 1, 5, 9]), expected, type);
      unkernelize(model);
      for (const [name, p] of model.namedParameters()) {
        assertEquals([...await p.data()], before.get(name), name);
      }
    });
  }

  it("goes on with a cache that the original began, and hands it back", async () => {
    using model = await randomModel(configOf("qwen3"));
    const [prompt, steps] = [[3, 1, 4], [1, 5, 9, 2, 6, 5]];
    using plainCache = model.makeCache();
    const plain = [await logits(model, prompt, plainCache)];
    for (const id of steps) plain.push(await logits(model, [id], plainCache));
    using cache = model.makeCache();
    assertNear(await logits(model, prompt, cache), plain[0], "the prompt");
    for (const [i, id] of steps.entries()) {
      if (i === 1 || i === 4) await kernelize(model, config);
      if (i === 3) unkernelize(model);
      assertNear(await logits(model, [id], cache), plain[i + 1], `step ${i}`);
    }
  });

  it("is what the trace hints at where a residual stands between two parts", async () => {
    const entry = fuse([["LlamaAttention", "model.layers.*.self_attn"], [
      "RMSNorm",
      "model.layers.*.post_attention_layernorm",
    ]], AttentionNorm);
    using model = await randomModel(configOf("llama"));
    const error = await assertRejects(
      () => kernelize(model, { kernels: [entry] }),
      KernelwrightError,
      '"model.layers.0.post_attention_layernorm" is not fed by "model.layers.0.self_attn"',
    );
    assert(error.message.includes("replace the parent, LlamaDecoderLayer, with one kernel"), error.message);
  });

  it("leaves other activations, biases of the MLP, and odd widths to the original", async () => {
    const reason = async (more: Parameters<typeof configOf>[1]) =>
      (await kernelize(buildCausalLM(configOf("llama", more)), config)).sites[0].reason;
    assertEquals(
      await reason({ hidden_act: "gelu" }),
      "DecoderLayer: the activation is gelu, and the kernel computes SiLU",
    );
    assertEquals(await reason({ mlp_bias: true }), "DecoderLayer: the projections of the MLP have biases");
    assertEquals(
      await reason({ intermediate_size: 50 }),
      "DecoderLayer: the widths are 32, 50, 48, and the kernel loads 4 numbers at once",
    );
  });
});
