// expect-error 5: Expected at least 2 arguments, but got 1
import { fuses } from "@kernelwright/sdk";
import { RMSNorm } from "@kernelwright/sdk/nn";

export const site = fuses({ norm: RMSNorm });
