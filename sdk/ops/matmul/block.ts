/** How many outputs of a product an invocation makes, and the shared tile dispatch. */
import { dispatch, shader, workgroups } from "../../gpu/mod.ts";
import type { Tensor } from "../../tensor/mod.ts";
import { MOST_ROUNDS } from "../dispatch/adapter.ts";
import { inDepthParts } from "./depth_parts.ts";
import type { ProductChoice } from "./choice.ts";
import { eight } from "../dispatch/around.ts";
import { MATMUL_PARAMS } from "./matmul_code.ts";
import tileCode from "../wgsl/product_tile.wgsl" with { type: "text" };

/** A block of outputs. */
export interface Block {
  /** Its rows. */
  readonly rows: number;
  /** Its columns, a multiple of four. */
  readonly columns: number;
}

/** Invocations that a small product is cut into at least, if its columns allow: two software workgroups. */
const MIN_INVOCATIONS = 16;

/**
 * How many outputs an invocation makes where `choice` says how many there may be. Rows that are few are all in one
 * block, so that a weight is loaded once. Sums are registers: a software device spills 16 by 16 of them to its cache
 * and gains, a GPU would lose.
 */
export function blockOf(
  choice: Exclude<ProductChoice, "tile">,
  rows: number,
  columns: number,
  matrices = 1,
): Block {
  const [mostRows, mostColumns] = mostOf(choice);
  const even = Math.ceil(rows / Math.ceil(rows / mostRows)); // 18 rows are two blocks of 9, not of 16 and 2
  const block = { rows: even <= 2 ? even : Math.ceil(even / 4) * 4, columns: mostColumns };
  const blocks = () => matrices * Math.ceil(rows / block.rows) * Math.ceil(columns / block.columns);
  while (block.columns > 4 && blocks() < MIN_INVOCATIONS) block.columns /= 2;
  return block;
}

const mosts = new Map<string, readonly [rows: number, columns: number]>();

function mostOf(choice: string): readonly [rows: number, columns: number] {
  let most = mosts.get(choice);
  if (!most) {
    const [rows, columns] = choice.slice("block ".length).split("x").map(Number);
    mosts.set(choice, most = [rows, columns]);
  }
  return most;
}

/** A slice of 16 is a round, and 20 more in it: 4 that load and 16 that multiply. */
const MOST_TILE_DEPTH = 16 * Math.floor(MOST_ROUNDS / 21);

/** What tiles run. */
export const TILE_CODE: string = MATMUL_PARAMS + tileCode;

const tileShader = shader({ name: "product_tile.wgsl", code: TILE_CODE });

/** A product for tiles. */
export interface TileProduct {
  /** `[…, rows, depth]`. */
  readonly a: Tensor;
  /** `[…, depth, columns]`, or `[columns, depth]` where `transposed`. */
  readonly b: Tensor;
  /** `[columns]`. */
  readonly bias?: Tensor;
  /** The result. */
  readonly out: Tensor;
  /** Whether b is `[columns, depth]`. */
  readonly transposed: boolean;
  /** Sizes of one matrix. */
  readonly sizes: { readonly rows: number; readonly columns: number; readonly depth: number };
  /** Sizes of the batch dimensions. */
  readonly batch: readonly number[];
  /** Strides of a's matrices. */
  readonly strideA: readonly number[];
  /** Strides of b's matrices. */
  readonly strideB: readonly number[];
}

/** Runs a product in tiles of workgroup memory. */
export function dispatchTiles(p: TileProduct): void {
  const { rows, columns } = p.sizes;
  const [rowBlocks, columnBlocks] = [Math.ceil(rows / 64), Math.ceil(columns / 64)];
  const matrices = p.batch.reduce((n, s) => n * s, 1);
  inDepthParts(p.out, p.sizes.depth, MOST_TILE_DEPTH, ({ first, end, out }) => {
    dispatch(tileShader, {
      ...{ a: p.a, b: p.b, bias: p.bias ?? p.b, out },
      params: {
        ...p.sizes,
        ...{ first, end, row_blocks: rowBlocks, column_blocks: columnBlocks, matrices },
        has_bias: p.bias && first === 0 ? 1 : 0,
        rank: p.batch.length,
        ...{ shape: eight(p.batch), a: eight(p.strideA), b: eight(p.strideB) },
      },
    }, {
      workgroups: workgroups(matrices * rowBlocks * columnBlocks, 1),
      types: { T: p.a.dtype, O: out.dtype },
      constants: { TRANSPOSED: p.transposed ? 1 : 0 },
    });
  });
}
