import { benchMain } from "@kernelwright/sdk/testing";
import { RMSNormMLP } from "./mod.ts";

await benchMain(RMSNormMLP, {
  shapes: [
    { batch: 1, tokens: 1, width: 64, inner: 172 },
    { batch: 1, tokens: 1, width: 256, inner: 688 },
    { batch: 1, tokens: 32, width: 64, inner: 172 },
    { batch: 1, tokens: 32, width: 256, inner: 688 },
    { batch: 1, tokens: 512, width: 256, inner: 688 },
    { batch: 1, tokens: 1, width: 1024, inner: 2816 },
  ],
  // Three matrices, a multiply and an add for each of their elements and each row.
  cost: ({ batch, tokens, width, inner }) => ({ flops: 6 * batch * tokens * width * inner }),
});
