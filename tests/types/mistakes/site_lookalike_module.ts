// expect-error 28: Property '#training' is missing in type 'RMSNorm' but required in type 'Module'
import { fuses, type Parameter, type Tensor } from "@kernelwright/sdk";
import { LlamaMLP, Module } from "@kernelwright/sdk/nn";

type Members = { [K in keyof Module]: Module[K] };
/** Has all the public members of RMSNorm, and is not a module. */
class RMSNorm {
  declare training: Members["training"];
  declare call: Members["call"];
  declare children: Members["children"];
  declare namedModules: Members["namedModules"];
  declare parameters: Members["parameters"];
  declare namedParameters: Members["namedParameters"];
  declare stateDict: Members["stateDict"];
  declare loadStateDict: Members["loadStateDict"];
  declare train: Members["train"];
  declare eval: Members["eval"];
  declare to: Members["to"];
  declare dispose: Members["dispose"];
  declare [Symbol.dispose]: Members[typeof Symbol.dispose];
  declare weight: Parameter;
  constructor(readonly hidden_size: number, readonly eps = 1e-6) {}
  forward(x: Tensor): Tensor {
    return x;
  }
}

export const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });
