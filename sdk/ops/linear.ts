import { dispatch, gpuIfOpen, type Shader, shader } from "../gpu/mod.ts";
import { referenceValues, type Tensor } from "../tensor/mod.ts";
import { checkExactShape, checkRank, checkSameDType, shapeError } from "./checks.ts";
import { grid } from "./grid.ts";
import { linearCode, type LoadWidth } from "./linear_code.ts";
import { checkDType, FLOATS, operator } from "./operator.ts";
import { vectorize } from "./vector.ts";

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
    const block = chooseBlock(rows, columns, gpuIfOpen()?.info.software ?? false);
    const [rowBlocks, columnBlocks] = [Math.ceil(rows / block.rows), Math.ceil(columns / block.columns)];
    dispatch(blockShader(block.rows, block.columns, width), {
      x,
      weight,
      bias: bias ?? weight,
      out,
      params: {
        rows,
        columns,
        stride: depth / width,
        row_blocks: rowBlocks,
        column_blocks: columnBlocks,
        has_bias: bias ? 1 : 0,
      },
    }, { workgroups: grid(rowBlocks * columnBlocks, 8), types: { T: types.T, V: types.V } });
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

/** Invocations that a small product is cut into at least, if its columns allow: two software workgroups. */
const ENOUGH = 16;

/**
 * How many outputs an invocation makes. Rows that are few are all in one block, so that a weight is loaded once.
 * Sums are registers: a software device spills 16 by 16 of them to its cache and gains, a GPU would lose. A single
 * row waits for the weights whatever its block; four columns leave the most invocations.
 */
function chooseBlock(rows: number, columns: number, software: boolean): { rows: number; columns: number } {
  const most = software ? 16 : 8;
  const even = Math.ceil(rows / Math.ceil(rows / most)); // 18 rows are two blocks of 9, not of 16 and 2
  const block = {
    rows: even <= 2 ? even : Math.ceil(even / 4) * 4,
    columns: even === 1 ? 4 : software ? 16 : 8,
  };
  const blocks = () => Math.ceil(rows / block.rows) * Math.ceil(columns / block.columns);
  while (block.columns > 4 && blocks() < ENOUGH) block.columns /= 2;
  return block;
}

const shaders = new Map<string, Shader>();

function blockShader(rows: number, columns: number, width: LoadWidth): Shader {
  const name = `linear ${rows}x${columns}${width === 4 ? "" : " (scalar loads)"}`;
  let made = shaders.get(name);
  if (!made) shaders.set(name, made = shader({ name, code: linearCode(rows, columns, width) }));
  return made;
}
