import { dispatch, shader } from "../gpu/mod.ts";
import { broadcastShapes, numel, referenceValues, type Tensor } from "../tensor/mod.ts";
import { broadcastStrides, offsetOf } from "./binary.ts";
import { checkRank, checkSameDType, shapeError } from "./checks.ts";
import { eight, grid } from "./grid.ts";
import { checkDType, FLOATS, operator } from "./operator.ts";
import code from "./wgsl/matmul.wgsl" with { type: "text" };

const matmulShader = shader({ name: "matmul.wgsl", code });

/**
 * The matrix product of the last two dimensions; the ones before broadcast.
 *
 * @param a f32 or f16 `[..., M, K]`.
 * @param b The same dtype, `[..., K, N]`.
 * @returns `[..., M, N]`; sums are kept in f32.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 */
export const matmul: (a: Tensor, b: Tensor) => Tensor = operator<[a: Tensor, b: Tensor]>({
  name: "matmul",
  infer: (a, b) => {
    const action = "run matmul";
    checkDType(action, a, FLOATS);
    checkSameDType(action, a, b);
    checkRank(action, a, 2, "[..., M, K]");
    checkRank(action, b, 2, "[..., K, N]");
    if (a.shape.at(-1) !== b.shape.at(-2)) {
      shapeError(
        action,
        `${a.describe()} times ${b.describe()}`,
        `The last size of the first, ${a.shape.at(-1)}, must be the last but one of the second, ${
          b.shape.at(-2)
        }.`,
      );
    }
    if (Math.max(a.rank, b.rank) > 10) shapeError(action, "more than 8 batch dimensions");
    return { shape: [...batchOf(a, b), a.shape.at(-2)!, b.shape.at(-1)!], dtype: a.dtype };
  },
  webgpu: (out, a, b) => {
    const { batch, strideA, strideB, rows, depth, columns } = sizes(a, b);
    const [rowBlocks, columnBlocks, matrices] = [Math.ceil(rows / 4), Math.ceil(columns / 4), numel(batch)];
    dispatch(matmulShader, {
      a,
      b,
      out,
      params: {
        rows,
        columns,
        depth,
        row_blocks: rowBlocks,
        column_blocks: columnBlocks,
        matrices,
        rank: batch.length,
        shape: eight(batch),
        a: eight(strideA),
        b: eight(strideB),
      },
    }, { workgroups: grid(matrices * rowBlocks * columnBlocks), types: { T: a.dtype } });
  },
  reference: (out, a, b) => {
    const { batch, strideA, strideB, rows, depth, columns } = sizes(a, b);
    const [va, vb] = [referenceValues(a), referenceValues(b)];
    for (let i = 0; i < out.length; i++) {
      const [matrix, row, column] = [
        Math.floor(i / (rows * columns)),
        Math.floor(i / columns) % rows,
        i % columns,
      ];
      const [startA, startB] = [offsetOf(matrix, batch, strideA), offsetOf(matrix, batch, strideB)];
      for (let k = 0; k < depth; k++) {
        out[i] += va[startA + row * depth + k] * vb[startB + k * columns + column];
      }
    }
  },
});

// ---------------------------------------------------------------------------

function batchOf(a: Tensor, b: Tensor): number[] {
  return broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2), "run matmul");
}

function sizes(a: Tensor, b: Tensor) {
  const batch = batchOf(a, b);
  const [rows, depth, columns] = [a.shape.at(-2)!, a.shape.at(-1)!, b.shape.at(-1)!];
  return {
    batch,
    strideA: broadcastStrides(a.shape.slice(0, -2), batch).map((s) => s * rows * depth),
    strideB: broadcastStrides(b.shape.slice(0, -2), batch).map((s) => s * depth * columns),
    rows,
    depth,
    columns,
  };
}
