import { testKernel } from "@kernelwright/sdk/testing";
import { RMSNormMLP } from "./mod.ts";

testKernel(RMSNormMLP, {
  cases: {
    // What is not fused: a few rows of a wide model.
    "a row of a wide model": { dims: { batch: 1, tokens: 1, width: 768, inner: 70 } },
    "rows of a wide model": { dims: { batch: 3, tokens: 3, width: 772, inner: 33 } },
  },
});
