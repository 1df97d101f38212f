import { dispatch, shader } from "../gpu/mod.ts";
import { referenceValues, type Tensor } from "../tensor/mod.ts";
import { checkExactShape, checkRank, checkSameDType, shapeError } from "./checks.ts";
import { grid } from "./grid.ts";
import { checkDType, FLOATS, operator } from "./operator.ts";
import { vectorize } from "./vector.ts";
import blockCode from "./wgsl/linear.wgsl" with { type: "text" };
import rowCode from "./wgsl/linear_row.wgsl" with { type: "text" };

const blockShader = shader({ name: "linear.wgsl", code: blockCode });
const rowShader = shader({ name: "linear_row.wgsl", code: rowCode });

/** With at most this many rows, each is a matrix-vector product of its own. */
const FEW_ROWS = 2;

/**
 * `x · weightᵀ + bias`.
 *
 * @param x f32 or f16 `[..., K]`.
 * @param weight The same dtype, `[N, K]`.
 * @param bias The same dtype, `[N]`.
 * @returns `[..., N]`; sums are kept in f32.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
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
    const { width, types } = vectorize(x.dtype, depth);
    const tensors = { x, weight, bias: bias ?? (width === 1 ? weight : x), out };
    const hasBias = bias ? 1 : 0;
    if (rows <= FEW_ROWS) {
      const columnBlocks = Math.ceil(columns / 16);
      const params = { rows, columns, steps: depth / width, column_blocks: columnBlocks, share: width / 4 };
      dispatch(rowShader, { ...tensors, params }, {
        workgroups: grid(rows * columnBlocks, 8),
        constants: { HAS_BIAS: hasBias },
        types,
      });
    } else {
      const [rowBlocks, columnBlocks] = [Math.ceil(rows / 8), Math.ceil(columns / 8)];
      const params = { rows, columns, depth, row_blocks: rowBlocks, column_blocks: columnBlocks };
      dispatch(blockShader, { ...tensors, params }, {
        workgroups: grid(rowBlocks * columnBlocks, 8),
        constants: { HAS_BIAS: hasBias, WIDTH: width },
        types,
      });
    }
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
