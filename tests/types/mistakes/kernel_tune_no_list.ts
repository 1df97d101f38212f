// expect-error 9: Type 'number' is not assignable to type 'readonly number[]'
import { kernel, replaces, type Tensor } from "@kernelwright/sdk";
import { RMSNorm } from "@kernelwright/sdk/nn";

const site = replaces(RMSNorm);

@kernel({
  site,
  tune: { TILE: 64 },
})
export class Mistake {
  forward(this: RMSNorm, x: Tensor): Tensor {
    return x;
  }
}
