import { dispatch, type Shader, shader, workgroups } from "../../gpu/mod.ts";
import { type DType, referenceValues, type Tensor } from "../../tensor/mod.ts";
import { checkExactShape, checkRank, checkSameDType, shapeError } from "../checks.ts";
import { MOST_ROUNDS } from "../dispatch/adapter.ts";
import { inDepthParts } from "./depth_parts.ts";
import { choiceOf } from "./choice.ts";

import { linearCode, type LoadWidth } from "./linear_code.ts";
import { checkDType, FLOATS, operator } from "../operator.ts";
import { blockOf, dispatchTiles } from "./block.ts";
import { blockFor } from "./stand_in.ts";
import { vectorize } from "../dispatch/vector.ts";

/**
 * `x · weightᵀ + bias`.
 *
 * @param x f32 or f16 `[..., K]`.
 * @param weight The same dtype, `[N, K]`.
 * @param bias The same dtype, `[N]`.
 * @returns `[..., N]`; sums are kept in f32.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { linear } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using x = Tensor.from([[1, 2]]), weight = Tensor.from([[3, 4], [5, 6]]), bias = Tensor.from([100, 200]);
 * using out = linear(x, weight, bias);
 * assertEquals([...await out.data()], [111, 217]);
 * ```
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  return run(x, weight, bias);
}

// ---------------------------------------------------------------------------

const run = operator<[x: Tensor, weight: Tensor, bias: Tensor | undefined]>({
  name: "linear",
  infer: (x, weight, bias) => {
    const action = "run linear";
    checkDType(action, x, FLOATS);
    checkRank(action, x, 1, "[..., K]");
    if (weight.rank !== 2 || weight.shape[1] !== x.shape[x.rank - 1]) {
      shapeError(
        action,
        `x is ${x.describe()} and the weight ${weight.describe()}`,
        `The weight must be [N, ${x.shape[x.rank - 1]}].`,
      );
    }
    checkSameDType(action, x, weight, ...(bias ? [bias] : []));
    if (bias) checkExactShape(action, "the bias", bias, [weight.shape[0]]);
    return { shape: [...x.shape.slice(0, -1), weight.shape[0]], dtype: x.dtype };
  },
  webgpu: (out, x, weight, bias) => {
    const [columns, depth] = weight.shape;
    const rows = out.size / columns;
    const sizes = { rows, columns, depth };
    const choice = choiceOf({ operator: "linear", dtype: x.dtype, ...sizes });
    if (choice === "tile") {
      const whole = { batch: [], strideA: [], strideB: [] };
      return dispatchTiles({ a: x, b: weight, bias, out, transposed: true, sizes, ...whole });
    }
    const { width, types } = vectorize(x.dtype, depth);
    const typesOf = (dtype: DType) => ({ T: types.T, V: types.V, O: dtype });
    const block = blockFor(blockOf(choice, rows, columns), rows * columns * depth, (b) => {
      const code = blockShader(b.rows, b.columns, width, false);
      return { variant: code.variant(typesOf(out.dtype)), constants: code.constants };
    });
    const [rowBlocks, columnBlocks] = [Math.ceil(rows / block.rows), Math.ceil(columns / block.columns)];
    const counts = workgroups(rowBlocks * columnBlocks, 8);
    inDepthParts(out, depth, 4 * MOST_ROUNDS, ({ first, end, out }) => {
      const params = {
        rows,
        columns,
        stride: depth / width,
        first: first / width,
        end: end / width,
        row_blocks: rowBlocks,
        column_blocks: columnBlocks,
        has_bias: bias && first === 0 ? 1 : 0,
      };
      const code = blockShader(block.rows, block.columns, width, first > 0);
      dispatch(code, { x, weight, bias: bias ?? weight, out, params }, {
        workgroups: counts,
        types: typesOf(out.dtype),
      });
    });
  },
  reference: (out, x, weight, bias) => {
    const [columns, depth] = weight.shape;
    const [v, w] = [referenceValues(x), referenceValues(weight)];
    const b = bias ? referenceValues(bias) : undefined;
    for (let i = 0; i < out.length; i++) {
      const [row, column] = [Math.floor(i / columns), i % columns];
      let sum = b ? b[column] : 0;
      for (let k = 0; k < depth; k++) sum += v[row * depth + k] * w[column * depth + k];
      out[i] = sum;
    }
  },
});

const shaders = new Map<string, Shader>();

function blockShader(rows: number, columns: number, width: LoadWidth, adds: boolean): Shader {
  const name = `linear ${rows}x${columns}${width === 4 ? "" : " (scalar loads)"}${adds ? " added" : ""}`;
  let made = shaders.get(name);
  if (!made) shaders.set(name, made = shader({ name, code: linearCode(rows, columns, width, adds) }));
  return made;
}
