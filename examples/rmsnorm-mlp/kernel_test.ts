import { testKernel } from "@kernelwright/sdk/testing";
import { RMSNormMLP } from "./mod.ts";

testKernel(RMSNormMLP);
