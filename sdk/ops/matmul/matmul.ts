import { dispatch, type Shader, shader, workgroups } from "../../gpu/mod.ts";
import { broadcastShapes, type DType, numel, referenceValues, type Tensor } from "../../tensor/mod.ts";
import { broadcastStrides, offsetOf } from "../binary.ts";
import { checkRank, checkSameDType, shapeError } from "../checks.ts";
import { MOST_ROUNDS } from "../dispatch/adapter.ts";
import { inDepthParts } from "./depth_parts.ts";
import { choiceOf } from "./choice.ts";
import { eight } from "../dispatch/around.ts";
import { type MatmulBlock, matmulCode } from "./matmul_code.ts";
import { checkDType, FLOATS, operator } from "../operator.ts";
import { type Block, blockOf, dispatchTiles } from "./block.ts";
import { blockFor } from "./stand_in.ts";
import { vectorize } from "../dispatch/vector.ts";

/**
 * The matrix product of the last two dimensions; the ones before broadcast.
 *
 * @param a f32 or f16 `[..., M, K]`.
 * @param b The same dtype, `[..., K, N]`.
 * @returns `[..., M, N]`; sums are kept in f32.
 * @throws KW-TENSOR-SHAPE, KW-TENSOR-DTYPE
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { matmul } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using a = Tensor.from([[1, 2]]), b = Tensor.from([[3, 4], [5, 6]]), out = matmul(a, b);
 * assertEquals([...await out.data()], [13, 16]);
 * ```
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
    const size = { rows, columns, depth };
    const choice = choiceOf({ operator: "matmul", dtype: a.dtype, ...size });
    if (choice === "tile") {
      return dispatchTiles({ a, b, out, transposed: false, sizes: size, batch, strideA, strideB });
    }
    const matrices = numel(batch);
    const [loadA, loadB] = [vectorize(a.dtype, depth), vectorize(b.dtype, columns)];
    const shaderOf = ({ rows, columns }: Block, adds: boolean) =>
      blockShader({ rows, vectors: columns / 4, widthA: loadA.width, widthB: loadB.width, adds });
    const typesOf = (dtype: DType) => ({
      VA: loadA.types.V,
      VB: loadB.types.V,
      VO: vectorize(dtype, columns).types.V,
    });
    const work = matrices * rows * columns * depth;
    const block = blockFor(blockOf(choice, rows, columns, matrices), work, (b) => {
      const code = shaderOf(b, false);
      return { variant: code.variant(typesOf(out.dtype)), constants: code.constants };
    });
    const [rowBlocks, columnBlocks] = [Math.ceil(rows / block.rows), Math.ceil(columns / block.columns)];
    const counts = workgroups(matrices * rowBlocks * columnBlocks, 8);
    inDepthParts(out, depth, 4 * MOST_ROUNDS, ({ first, end, out }) => {
      dispatch(shaderOf(block, first > 0), {
        ...{ a, b, out },
        params: {
          ...size,
          ...{ first, end, row_blocks: rowBlocks, column_blocks: columnBlocks, matrices },
          has_bias: 0,
          rank: batch.length,
          ...{ shape: eight(batch), a: eight(strideA), b: eight(strideB) },
        },
      }, { workgroups: counts, types: typesOf(out.dtype) });
    });
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

const shaders = new Map<string, Shader>();

function blockShader(block: MatmulBlock): Shader {
  const scalar = [block.widthA === 1 ? "a" : "", block.widthB === 1 ? "b" : ""].join("");
  const name = `matmul ${block.rows}x${4 * block.vectors}${scalar && ` (scalar loads of ${scalar})`}${
    block.adds ? " added" : ""
  }`;
  let made = shaders.get(name);
  if (!made) shaders.set(name, made = shader({ name, code: matmulCode(block) }));
  return made;
}

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
