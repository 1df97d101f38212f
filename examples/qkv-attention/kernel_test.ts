import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { keep, kernelize, openGpu, scope, Tensor, unkernelize } from "@kernelwright/sdk";
import { replace } from "@kernelwright/sdk/config";
import { type KVCache, LlamaAttention, Rope } from "@kernelwright/sdk/nn";
import {
  buildCausalLM,
  type CausalLM,
  type DecoderLM,
  type LlamaDecoderLayer,
  parseDecoderConfig,
} from "@kernelwright/sdk/models";
import { type Dims, randomSource, testKernel } from "@kernelwright/sdk/testing";
import { QKVAttention } from "./mod.ts";

// bias: 0 none, 1 all four projections, 2 all but the last (Qwen2). With places, there is a cache of that length.
const shapes: Dims[] = [
  {
    batch: 2,
    tokens: 3,
    width: 24,
    groups: 2,
    kv: 2,
    half: 4,
    bias: 0,
    norm: 0,
    places: 9,
    padded: 1,
    before: 4,
  },
  {
    batch: 1,
    tokens: 1,
    width: 1,
    groups: 1,
    kv: 1,
    half: 1,
    bias: 1,
    norm: 1,
    places: 0,
    padded: 0,
    before: 0,
  },
  {
    batch: 1,
    tokens: 17,
    width: 48,
    groups: 2,
    kv: 2,
    half: 8,
    bias: 0,
    norm: 1,
    places: 0,
    padded: 0,
    before: 0,
  },
  {
    batch: 3,
    tokens: 5,
    width: 33,
    groups: 3,
    kv: 1,
    half: 3,
    bias: 2,
    norm: 0,
    places: 40,
    padded: 1,
    before: 31,
  },
];

testKernel(QKVAttention, {
  modules: ({ width, groups, kv, half, bias, norm }) => [
    new LlamaAttention({
      hidden_size: width,
      num_attention_heads: groups * kv,
      num_key_value_heads: kv,
      head_dim: 2 * half,
      rope: new Rope(2 * half, 10000),
      attention_bias: bias === 1,
      qkv_bias: bias === 2,
      qk_norm_eps: norm ? 1e-6 : undefined,
    }, 0),
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
    groups: { max: 3 },
    kv: { max: 3 },
    half: { max: 5 },
    bias: { min: 0, max: 2 },
    norm: { min: 0, max: 1 },
    places: { min: 0, max: 3 },
    padded: { min: 0, max: 1 },
    before: { min: 0, max: 5 },
  },
  runs: 6, // each size of a head is a shader to compile
});

/** A small model with random weights. */
async function randomModel(model_type: string): Promise<CausalLM> {
  await openGpu();
  const model = buildCausalLM(parseDecoderConfig({
    model_type,
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 12,
    vocab_size: 40,
    max_position_embeddings: 32,
  }));
  const random = randomSource(7);
  for (const [, p] of model.namedParameters()) {
    if (p.materialized) continue;
    const scale = p.shape.length > 1 ? 1 / Math.sqrt(p.shape[1]) : 1;
    p.assign(
      keep(Tensor.from(
        Float32Array.from({ length: p.size }, () => (random() * 2 - 1) * scale),
        { shape: p.shape },
      )),
    );
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

const config = { kernels: [replace("LlamaAttention", QKVAttention)] };

describe("QKVAttention in a model", () => {
  for (const type of ["llama", "qwen2", "qwen3"]) {
    it(`${type}: gives the logits of the original, and gives the weights back byte for byte`, async () => {
      using model = await randomModel(type);
      const before = new Map<string, number[]>();
      for (const [name, p] of model.namedParameters()) before.set(name, [...await p.data()]);
      const expected = await logits(model, [3, 1, 4, 1, 5, 9]);
      const report = await kernelize(model, config);
      assertEquals(report.swapped.length, 2);
      assertEquals(model.stateDict().has("model.layers.0.self_attn.qkv_bias"), type === "qwen2");
      assertEquals(model.stateDict().has("model.layers.0.self_attn.q_scale"), type === "qwen3");
      assertNear(await logits(model, [3, 1, 4, 1, 5, 9]), expected, type);
      unkernelize(model);
      for (const [name, p] of model.namedParameters()) {
        assertEquals([...await p.data()], before.get(name), name);
      }
    });
  }

  it("goes on with a cache that the original began, and hands it back", async () => {
    using model = await randomModel("qwen3");
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
    // The kernel's entries are in the order of the original's, not only consistent with each other.
    for (const layer of [0, 1]) {
      for (const what of ["keys", "values"] as const) {
        const [mine, its] = [await cache[what][layer].data(), await plainCache[what][layer].data()];
        assertNear([...mine], [...its], `${what} of layer ${layer}`);
      }
    }
  });

  it("drops tokens past the cache's end, as the original does", async () => {
    using model = await randomModel("llama");
    const run = async () => {
      using cache = model.makeCache({ batch: 2, maxLength: 4 });
      scope(() => {
        const x = Tensor.from(Float32Array.from({ length: 2 * 3 * 32 }, (_, i) => Math.sin(i)), {
          shape: [2, 3, 32],
        });
        const position = Tensor.from([2], { dtype: "i32" }); // the third token has no place
        ((model as DecoderLM).model.layers[0] as LlamaDecoderLayer).self_attn.call(x, { position, cache });
      });
      return [[...await cache.keys[0].data()], [...await cache.values[0].data()]];
    };
    const [keys, values] = await run();
    await kernelize(model, config);
    const [ownKeys, ownValues] = await run();
    assertNear(ownKeys, keys, "keys");
    assertNear(ownValues, values, "values");
  });
});
