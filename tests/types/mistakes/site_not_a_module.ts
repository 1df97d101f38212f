// expect-error 10: Type 'Plain' is missing the following properties from type 'Module': #training
import { replaces, type Tensor } from "@kernelwright/sdk";

class Plain {
  forward(x: Tensor): Tensor {
    return x;
  }
}

export const site = replaces(Plain);
