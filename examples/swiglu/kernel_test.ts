import { testKernel } from "@kernelwright/sdk/testing";
import { SwiGLU } from "./mod.ts";

testKernel(SwiGLU);
