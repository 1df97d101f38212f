// expect-error 5: SignatureMismatch<"a part is one name and its class", { readonly name: ModuleClass; }>
import { fuses } from "@kernelwright/sdk";
import { Linear, LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";

export const site = fuses({ norm: RMSNorm, proj: Linear }, { mlp: LlamaMLP });
