import { raise } from "../errors.ts";
import { dispatch, shader, workgroups } from "../gpu/mod.ts";
import { referenceValues, type Tensor } from "../tensor/mod.ts";
import { checkPosition, checkSameDType, shapeError } from "./checks.ts";

import { checkDType, FLOATS, inPlaceOperator } from "./operator.ts";
import advanceCode from "./wgsl/advance.wgsl" with { type: "text" };
import cacheWriteCode from "./wgsl/cache_write.wgsl" with { type: "text" };

const cacheWriteShader = shader({ name: "cache_write.wgsl", code: cacheWriteCode });
const advanceShader = shader({ name: "advance.wgsl", code: advanceCode });

/**
 * Writes the keys or values of this run behind those of the runs before: `cache[b, position + t] = values[b, t]`.
 *
 * Tokens that would land past the cache's end are dropped on the GPU, where nobody looks at the position; the
 * reference device raises.
 *
 * @param cache f32 or f16 `[B, L, H, D]`, changed.
 * @param values The same dtype, `[B, T, H, D]`.
 * @param position i32 `[1]`.
 * @param ring Whether the cache is a ring of which tokens past its end go on at its beginning: place `p` is slot `p mod L`.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE; KW-TENSOR-DATA on the reference device.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { advance, cacheWrite } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using cache = Tensor.zeros([1, 3, 1, 1]), position = Tensor.from([1], { dtype: "i32" });
 * using keys = Tensor.from([7], { shape: [1, 1, 1, 1] });
 * cacheWrite(cache, keys, position);
 * advance(position, 1);
 * assertEquals([...await cache.data()], [0, 7, 0]);
 * ```
 */
export const cacheWrite: (cache: Tensor, values: Tensor, position: Tensor, ring?: boolean) => void =
  inPlaceOperator<[cache: Tensor, values: Tensor, position: Tensor, ring?: boolean]>({
    name: "cacheWrite",
    check: (cache, values, position, ring) => {
      const action = "run cacheWrite";
      checkDType(action, cache, FLOATS);
      checkSameDType(action, cache, values);
      checkPosition(action, position);
      if (
        cache.rank !== 4 || values.rank !== 4 || [0, 2, 3].some((d) => cache.shape[d] !== values.shape[d])
      ) {
        shapeError(
          action,
          `the cache is ${cache.describe()} and the values ${values.describe()}`,
          "They must be [B, L, H, D] and [B, T, H, D].",
        );
      }
      if (!ring && values.shape[1] > cache.shape[1]) {
        shapeError(
          action,
          `${values.shape[1]} tokens into a cache for ${cache.shape[1]}`,
          "Make the cache longer, or the prompt shorter.",
        );
      }
    },
    webgpu: (cache, values, position, ring) => {
      const [, tokens, heads, size] = values.shape;
      const params = {
        ...{ count: values.size, tokens, places: cache.shape[1], width: heads * size },
        ring: ring ? 1 : 0,
      };
      dispatch(cacheWriteShader, { cache, values, position, params }, {
        workgroups: workgroups(values.size),
        types: { T: cache.dtype },
      });
    },
    reference: (cache, values, position, ring) => {
      const [batch, tokens, heads, size] = values.shape;
      const places = cache.shape[1];
      const [first] = referenceValues(position);
      if (first < 0 || !ring && first + tokens > places) {
        raise(
          "KW-TENSOR-DATA",
          `Cannot run cacheWrite: ${tokens} tokens at position ${first} of a cache for ${places}`,
          "Make the cache longer, or stop earlier.",
        );
      }
      const width = heads * size;
      for (let b = 0; b < batch; b++) {
        for (let t = Math.max(0, tokens - places); t < tokens; t++) {
          const from = (b * tokens + t) * width;
          const token = referenceValues(values).subarray(from, from + width);
          referenceValues(cache).set(token, (b * places + (first + t) % places) * width);
        }
      }
    },
  });

/**
 * `position += by`, on the device: a replayed run moves on without the host.
 *
 * @param position i32 `[1]`, changed.
 * @param by A whole number, fixed when the operator is recorded.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { advance } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using position = Tensor.from([5], { dtype: "i32" });
 * advance(position, 3);
 * assertEquals([...await position.data()], [8]);
 * ```
 */
export const advance: (position: Tensor, by: number) => void = inPlaceOperator<
  [position: Tensor, by: number]
>({
  name: "advance",
  check: (position) => checkPosition("run advance", position),
  webgpu: (position, by) => dispatch(advanceShader, { position, by }, { workgroups: 1 }),
  reference: (position, by) => {
    referenceValues(position)[0] += by;
  },
});
