import { LlamaDecoderLayer, parseDecoderConfig } from "@kernelwright/sdk/models";
import { benchMain } from "@kernelwright/sdk/testing";
import { DecoderLayer } from "./mod.ts";

await benchMain(DecoderLayer, {
  modules: ({ heads, kv, size, inner }) => [
    new LlamaDecoderLayer(
      parseDecoderConfig({
        model_type: "llama",
        hidden_size: heads * size,
        intermediate_size: inner,
        num_hidden_layers: 1,
        num_attention_heads: heads,
        num_key_value_heads: kv,
        vocab_size: 1,
      }),
      0,
    ),
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
    { tokens: 1, heads: 8, kv: 4, size: 8, inner: 172, before: 63 },
    { tokens: 1, heads: 8, kv: 4, size: 32, inner: 688, before: 63 },
    { tokens: 32, heads: 8, kv: 4, size: 8, inner: 172, before: 0 },
    { tokens: 32, heads: 8, kv: 4, size: 32, inner: 688, before: 0 },
    { tokens: 512, heads: 8, kv: 4, size: 32, inner: 688, before: 0 },
  ],
});
