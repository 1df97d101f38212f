import { MixtralSparseMoeBlock } from "@kernelwright/sdk/models";
import { benchMain } from "@kernelwright/sdk/testing";
import { StackedExperts } from "./mod.ts";

await benchMain(StackedExperts, {
  modules: ({ width, inner, experts, chosen }) => [new MixtralSparseMoeBlock(width, inner, experts, chosen)],
  inputs: ({ tokens, width }) => [[1, tokens, width]],
  shapes: [
    { tokens: 1, width: 32, inner: 64, experts: 4, chosen: 2 },
    { tokens: 1, width: 128, inner: 256, experts: 8, chosen: 2 },
    { tokens: 16, width: 128, inner: 256, experts: 8, chosen: 2 },
    { tokens: 256, width: 128, inner: 256, experts: 8, chosen: 2 },
  ],
  // What has to be read and computed is the chosen experts' alone.
  cost: ({ tokens, width, inner, chosen }, size) => ({
    bytes: 3 * chosen * width * inner * size,
    flops: 6 * tokens * chosen * width * inner,
  }),
});
