import { Linear } from "@kernelwright/sdk/nn";
import { benchMain } from "@kernelwright/sdk/testing";
import { QKVParallel } from "./mod.ts";

await benchMain(QKVParallel, {
  modules: ({ width, q, k, v }) => [q, k, v].map((size) => new Linear(width, size, false)),
  shapes: [
    { batch: 1, tokens: 1, width: 64, q: 64, k: 32, v: 32 },
    { batch: 1, tokens: 1, width: 256, q: 256, k: 64, v: 64 },
    { batch: 1, tokens: 32, width: 64, q: 64, k: 32, v: 32 },
    { batch: 1, tokens: 32, width: 256, q: 256, k: 64, v: 64 },
    { batch: 1, tokens: 512, width: 256, q: 256, k: 64, v: 64 },
  ],
  // A multiply and an add for each weight and each row.
  cost: ({ batch, tokens, width, q, k, v }) => ({ flops: 2 * batch * tokens * width * (q + k + v) }),
});
