import { benchMain } from "@kernelwright/sdk/testing";
import { SwiGLU } from "./mod.ts";

await benchMain(SwiGLU, {
  shapes: [172, 688, 2752, 11008].map((width) => ({ batch: 1, tokens: 32, width })),
  // The exponential counts as one.
  cost: ({ batch, tokens, width }) => ({ flops: 5 * batch * tokens * width }),
});
