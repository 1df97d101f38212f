// expect-error 10: Property 'TILES' does not exist
import { kernel, replaces, type Tensor, tuned } from "@kernelwright/sdk";
import { RMSNorm } from "@kernelwright/sdk/nn";

const site = replaces(RMSNorm);

@kernel({ site, tune: { TILE: [32, 64] } })
export class Mistake {
  forward(this: RMSNorm, x: Tensor): Tensor {
    const { TILES } = tuned({ TILE: 64 });
    return TILES > 1 ? x : x.reshape(x.shape);
  }
}
