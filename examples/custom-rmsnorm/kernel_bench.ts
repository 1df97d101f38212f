import { benchMain } from "@kernelwright/sdk/testing";
import { CustomRMSNorm } from "./mod.ts";

await benchMain(CustomRMSNorm, {
  shapes: [64, 256, 1024, 2048].map((width) => ({ batch: 1, tokens: 64, width })),
  // A square and a sum, then two products.
  cost: ({ batch, tokens, width }) => ({ flops: 4 * batch * tokens * width }),
});
