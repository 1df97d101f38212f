// expect-error 5: 'typeof RMSNorm' is not assignable to parameter of type 'Readonly<Record<string, ModuleClass>>'
import { fuses } from "@kernelwright/sdk";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

export const site = fuses(RMSNorm, LlamaMLP);
