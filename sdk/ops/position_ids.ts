import { dispatch, shader, workgroups } from "../gpu/mod.ts";
import { referenceValues, type Tensor } from "../tensor/mod.ts";
import { shapeError } from "./checks.ts";

import { checkDType, operator } from "./operator.ts";
import code from "./wgsl/position_ids.wgsl" with { type: "text" };

const positionShader = shader({ name: "position_ids.wgsl", code });

/**
 * Positions that are counted over the tokens that are not padding, from `padding + 1`; a padding token has `padding`
 * (RoBERTa).
 *
 * @param ids i32 or u32 `[B, T]`.
 * @param padding The padding token's id, 0 or more.
 * @returns i32 `[B, T]`
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { positionIds } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using ids = Tensor.from([[7, 8, 1, 1]], { dtype: "i32" }), positions = positionIds(ids, 1);
 * assertEquals([...await positions.data()], [2, 3, 1, 1]);
 * ```
 */
export const positionIds: (ids: Tensor, padding: number) => Tensor = operator<[ids: Tensor, padding: number]>(
  {
    name: "positionIds",
    infer: (ids, padding) => {
      checkDType("run positionIds", ids, ["i32", "u32"]);
      if (ids.rank !== 2) shapeError("run positionIds", `the ids are ${ids.describe()}`, "Give [B, T].");
      if (!Number.isInteger(padding) || padding < 0 || padding >= 2 ** 31) {
        shapeError("run positionIds", `the padding id is ${padding}`, "Give a whole number, 0 or more.");
      }
      return { shape: ids.shape, dtype: "i32" };
    },
    webgpu: (out, ids, padding) =>
      dispatch(positionShader, { ids, out, params: { count: ids.size, tokens: ids.shape[1], padding } }, {
        workgroups: workgroups(ids.size),
        types: { Id: ids.dtype },
      }),
    reference: (out, ids, padding) => {
      const [values, tokens] = [referenceValues(ids), ids.shape[1]];
      let seen = 0;
      values.forEach((id, i) => {
        if (i % tokens === 0) seen = 0;
        out[i] = id === padding ? padding : padding + ++seen;
      });
    },
  },
);
