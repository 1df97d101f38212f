import { assertEquals } from "@std/assert";
import type { KVCache } from "../../sdk/nn/mod.ts";
import type { CausalLM } from "../../sdk/models/mod.ts";
import { keep, scope, Tensor } from "../../sdk/tensor/mod.ts";

/** How rows of ids are run. */
export interface LogitsOptions {
  /** How many padding tokens each row begins with. */
  readonly starts?: readonly number[];
  /** Keys and values of the tokens before. */
  readonly cache?: KVCache;
}

/** The logits of rows of ids, all of one length. */
export async function logitsOf(
  model: CausalLM,
  rows: readonly (readonly number[])[],
  options: LogitsOptions = {},
): Promise<number[]> {
  using out = keep(scope(() => {
    const { device } = model;
    const ids = Tensor.from(Int32Array.from(rows.flat()), { shape: [rows.length, rows[0].length], device });
    const starts = options.starts && Tensor.from(Int32Array.from(options.starts), { device });
    return model.call(ids, { starts, cache: options.cache });
  }));
  return Array.from(await out.data());
}

/** The largest difference of two lists of numbers; NaN where one of them is. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assertEquals(a.length, b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    const off = Math.abs(a[i] - b[i]);
    if (!(off <= most)) most = off;
  }
  return most;
}
