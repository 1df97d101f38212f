import { testKernel } from "@kernelwright/sdk/testing";
import { CustomRMSNorm } from "./mod.ts";

testKernel(CustomRMSNorm);
