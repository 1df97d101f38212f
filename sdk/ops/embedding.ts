import { raise } from "../errors.ts";
import { dispatch, shader, workgroups } from "../gpu/mod.ts";
import { referenceValues, type Tensor } from "../tensor/mod.ts";
import { shapeError } from "./checks.ts";

import { checkDType, FLOATS, operator } from "./operator.ts";
import code from "./wgsl/embedding.wgsl" with { type: "text" };

const embeddingShader = shader({ name: "embedding.wgsl", code });

/**
 * The rows of `weight` that `ids` name.
 *
 * An id below 0 or past the last row gives a row of zeros on the GPU, where nobody looks at values; the reference
 * device raises.
 *
 * @param ids i32 or u32, any shape.
 * @param weight f32 or f16 `[V, H]`.
 * @returns `[...ids.shape, H]`, of the weight's dtype.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE; KW-TENSOR-DATA on the reference device.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { embedding } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using ids = Tensor.from([1, 0], { dtype: "i32" }), weight = Tensor.from([[1, 2], [3, 4]]);
 * using out = embedding(ids, weight);
 * assertEquals([...await out.data()], [3, 4, 1, 2]);
 * ```
 */
export const embedding: (ids: Tensor, weight: Tensor) => Tensor = operator<[ids: Tensor, weight: Tensor]>({
  name: "embedding",
  infer: (ids, weight) => {
    checkDType("run embedding", ids, ["i32", "u32"]);
    checkDType("run embedding", weight, FLOATS);
    if (weight.rank !== 2) {
      shapeError("run embedding", `the weight is ${weight.describe()}`, "It must be [V, H].");
    }
    return { shape: [...ids.shape, weight.shape[1]], dtype: weight.dtype };
  },
  webgpu: (out, ids, weight) => {
    const params = { count: out.size, rows: weight.shape[0], width: weight.shape[1] };
    dispatch(embeddingShader, { ids, weight, out, params }, {
      workgroups: workgroups(out.size),
      types: { T: weight.dtype, Id: ids.dtype },
    });
  },
  reference: (out, ids, weight) => {
    const [rows, width] = weight.shape;
    const table = referenceValues(weight);
    referenceValues(ids).forEach((row, i) => {
      if (row < 0 || row >= rows) {
        raise(
          "KW-TENSOR-DATA",
          `Cannot run embedding: id ${row}, at place ${i}, of a table of ${rows} rows`,
          `Ids go from 0 to ${rows - 1}; does the tokenizer belong to this model?`,
          { tensor: ids.name },
        );
      }
      out.set(table.subarray(row * width, (row + 1) * width), i * width);
    });
  },
});
