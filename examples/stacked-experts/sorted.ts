/** The experts for many tokens: the tokens of an expert stand together, so that a weight is loaded once for several. */
import { dispatch, gpuIfOpen, type Shader, shader, Tensor, workgroups } from "@kernelwright/sdk";
import combineCode from "./combine.wgsl" with { type: "text" };
import { expertProduct } from "./expert_product.ts";
import type { StackedExpertsLayout } from "./layout.ts";
import siluMulCode from "./silu_mul.wgsl" with { type: "text" };
import sortCode from "./sort_by_expert.wgsl" with { type: "text" };

const sort = shader({ name: "sort_by_expert.wgsl", code: sortCode });
const siluMul = shader({ name: "silu_mul.wgsl", code: siluMulCode });
const combine = shader({ name: "combine.wgsl", code: combineCode });

/** What the router says. A cell is one choice of one row. */
export interface Choice {
  /** u32 `[rows, top_k]`. */
  readonly chosen: Tensor;
  /** f32 `[rows, top_k]`, not yet divided by their sum. */
  readonly shares: Tensor;
}

/**
 * Whether an expert is likely to get several rows. A software device leaves loops after 65,535 rounds, and sorting walks
 * all cells.
 */
export function worthSorting(cells: number, experts: number): boolean {
  return cells >= 2 * experts && cells <= 60_000;
}

/** `[rows, hidden]` → the same shape. */
export function runSorted(self: StackedExpertsLayout, x: Tensor, { chosen, shares }: Choice): Tensor {
  const { hidden_size: hidden, intermediate_size: inner, num_experts: experts, top_k } = self;
  const [rows] = x.shape;
  const { dtype } = x;
  const types = { V: `vec4<${dtype}>` };
  const cells = rows * top_k;
  const order = Tensor.empty([cells], { dtype: "u32" });
  const starts = Tensor.empty([experts + 1], { dtype: "u32" });
  dispatch(sort, { chosen, order, starts, params: { cells, experts } }, {
    workgroups: Math.ceil(experts / 8),
  });
  const gate_up = product(x, self.gate_up_proj, { order, starts });
  const activated = Tensor.empty([cells, inner], { dtype });
  dispatch(siluMul, { gate_up, out: activated, params: { rows: cells, fours: inner / 4 } }, {
    workgroups: [Math.ceil(inner / 32), Math.ceil(cells / 8)],
    types,
  });
  const parts = product(activated, self.down_proj, { order, starts });
  const out = Tensor.empty([rows, hidden], { dtype });
  const count = rows * hidden / 4;
  dispatch(combine, { parts, shares, out, params: { count, fours: hidden / 4, top_k } }, {
    workgroups: workgroups(count, 16),
    types,
  });
  return out;
}

// ---------------------------------------------------------------------------

/** x · W[expert]ᵀ for each cell, `[cells, columns]`. x has a row for each cell, or for several that follow each other. */
function product(x: Tensor, weight: Tensor, by: { order: Tensor; starts: Tensor }): Tensor {
  const { dtype } = x;
  const [experts, columns, depth] = weight.shape;
  const cells = by.order.size;
  const block = chooseBlock(cells / experts);
  // Each expert's last block may be partly empty.
  const blocks = Math.min(cells, Math.floor((cells + experts * (block.rows - 1)) / block.rows));
  const out = Tensor.empty([cells, columns], { dtype });
  dispatch(blockShader(block.rows, block.columns), {
    x,
    weight,
    ...by,
    out,
    params: { experts, steps: depth / 4, columns, cells_of_row: cells * depth / x.size },
  }, {
    workgroups: [Math.ceil(columns / block.columns / 8), blocks],
    types: { T: dtype, V: `vec4<${dtype}>` },
  });
  return out;
}

/** As large as the cells of an expert fill on average. 256 sums spill: a software device gains by it, a GPU would lose. */
function chooseBlock(cellsOfExpert: number): { rows: number; columns: number } {
  const most = gpuIfOpen()?.info.software ? 16 : 8;
  const rows = [16, 8, 4].find((n) => n <= Math.min(most, cellsOfExpert)) ?? 4;
  return { rows, columns: most };
}

const shaders = new Map<string, Shader>();

function blockShader(rows: number, columns: number): Shader {
  const name = `expert_product ${rows}x${columns}`;
  let made = shaders.get(name);
  if (!made) shaders.set(name, made = shader({ name, code: expertProduct(rows, columns) }));
  return made;
}
