import { dispatch, shader, workgroups } from "../gpu/mod.ts";
import { referenceValues, type Tensor } from "../tensor/mod.ts";
import { checkPosition, checkStarts } from "./checks.ts";
import { operator } from "./operator.ts";
import code from "./wgsl/token_places.wgsl" with { type: "text" };

const placesShader = shader({ name: "token_places.wgsl", code });

/**
 * Where each token of a run stands in its row: `max(0, position[0] + t - starts[b])`. Learned positions are looked up by it.
 *
 * @param position i32 `[1]`: the position of the first token. Read by the shader, so a replay may change it.
 * @param starts i32 `[batch]`: where each row of the batch begins, when rows are padded on the left.
 * @returns i32 `[batch, tokens]`
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 */
export const tokenPlaces: (
  position: Tensor,
  starts: Tensor | undefined,
  batch: number,
  tokens: number,
) => Tensor = operator<[position: Tensor, starts: Tensor | undefined, batch: number, tokens: number]>({
  name: "tokenPlaces",
  infer: (position, starts, batch, tokens) => {
    checkPosition("run tokenPlaces", position);
    checkStarts("run tokenPlaces", starts, batch);
    return { shape: [batch, tokens], dtype: "i32" };
  },
  webgpu: (out, position, starts, _batch, tokens) => {
    const params = { count: out.size, tokens };
    dispatch(placesShader, { position, starts: starts ?? position, out, params }, {
      workgroups: workgroups(out.size),
      constants: { HAS_STARTS: starts ? 1 : 0 },
    });
  },
  reference: (out, position, starts, batch, tokens) => {
    const [first] = referenceValues(position);
    for (let b = 0; b < batch; b++) {
      const start = starts ? referenceValues(starts)[b] : 0;
      for (let t = 0; t < tokens; t++) out[b * tokens + t] = Math.max(0, first + t - start);
    }
  },
});
