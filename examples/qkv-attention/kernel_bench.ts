import { LlamaAttention, Rope } from "@kernelwright/sdk/nn";
import { benchMain } from "@kernelwright/sdk/testing";
import { QKVAttention } from "./mod.ts";

await benchMain(QKVAttention, {
  modules: ({ heads, kv, size, norm }) => [
    new LlamaAttention({
      hidden_size: heads * size,
      num_attention_heads: heads,
      num_key_value_heads: kv,
      head_dim: size,
      rope: new Rope(size, 10000),
      attention_bias: false,
      qk_norm_eps: norm ? 1e-6 : undefined,
    }, 0),
  ],
  // A step of a generation, and a prompt, with `before` tokens in the cache.
  inputs: ({ tokens, heads, kv, size, before }) => [
    [1, tokens, heads * size],
    { shape: [1], dtype: "i32", values: () => before },
    [1, before + tokens, kv, size],
    [1, before + tokens, kv, size],
  ],
  arguments: ([x, position, keys, values]) => [x, { position, cache: { keys: [keys], values: [values] } }],
  shapes: [
    { tokens: 1, heads: 8, kv: 4, size: 8, norm: 0, before: 63 },
    { tokens: 1, heads: 8, kv: 4, size: 32, norm: 0, before: 63 },
    { tokens: 1, heads: 8, kv: 4, size: 32, norm: 1, before: 63 },
    { tokens: 32, heads: 8, kv: 4, size: 32, norm: 0, before: 0 },
  ],
});
