// expect-error 27: missing the following properties from type 'Layout': #layout, #training
import { layout, type Module, type Parameter, replaces, type Tensor } from "@kernelwright/sdk";
import { RMSNorm } from "@kernelwright/sdk/nn";

/** Has all the public members of a layout, and is none. */
type Members = { [K in keyof Module]: Module[K] };
class Copy {
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
  declare scale: Parameter;
  forward(x: Tensor): Tensor {
    return x;
  }
}

@layout({ site: replaces(RMSNorm) })
export class Mistake extends Copy {
  constructor(readonly hidden_size: number, readonly eps = 1e-6) {
    super();
  }
}
