/**
 * A cheap block serves while the best one is not compiled.
 *
 *   call ─► is the best block's pipeline there? ─ yes ─► best
 *             │ no
 *             ├─ it would have paid for its compilation by now ─► best, and it compiles
 *             └─ not yet ─► cheap: the same sums in the same order, bit for bit
 *
 * In a page the best one compiles in the background, from the first call on. Where something is recorded, traced or timed, and in
 * `model.ready()`, the best is taken at once.
 */
import { checkArgument } from "../../arguments.ts";
import { ambient } from "../../ambient.ts";
import { currentGpu, type Gpu, type PipelineRequest } from "../../gpu/mod.ts";
import { builtin } from "../../host/mod.ts";
import { currentTracer } from "../../tensor/mod.ts";
import { isForced } from "./choice.ts";
import type { Block } from "./block.ts";

/**
 * Multiply-adds for each output of a block, after which it would have paid for its compilation. On llvmpipe a block
 * of 16×16 compiles in 4.2 seconds of the processor, of 8×16 in 1.1, 8×8 0.5, 8×4 0.28, and in a twentieth of that
 * where Mesa has it on disk; in 8×4 a multiply-add takes 0.09 to 0.13 ns longer. So a compilation has paid after 40
 * million an output, or after 2 million where it was on disk. Nobody can know which: this lies between the two. First
 * calls take 0.5 to 0.7 of their time so on a new machine, and 0.9 to 1.3 on one that has Mesa's files.
 */
const WORK_WORTH_COMPILING = 10e6;

/**
 * The block that runs: `best`, or a cheap one in its place.
 *
 * @param work Multiply-adds of this call.
 * @param requestOf The pipeline of a block.
 */
export function blockFor(best: Block, work: number, requestOf: (block: Block) => PipelineRequest): Block {
  if (best.rows * best.columns <= CHEAP.rows * CHEAP.columns) return best;
  if (atOnce.current || isForced() || currentTracer()) return best;
  const gpu = currentGpu();
  if (gpu.stream.recorder || gpu.stream.timestamps) return best;
  const request = requestOf(best);
  if (gpu.pipelines.has(request)) return best;
  const page = builtin("node:fs/promises") === undefined;
  if (!page && !gpu.info.software) return best; // not measured there
  const done = countsOf(gpu);
  const before = done.get(request.variant.id) ?? 0;
  done.set(request.variant.id, before + work);
  if (page && before === 0) gpu.pipelines.compileInBackground(request);
  if (!page && before + work > best.rows * best.columns * WORK_WORTH_COMPILING) return best;
  return { rows: Math.min(best.rows, CHEAP.rows), columns: Math.min(best.columns, CHEAP.columns) };
}

/** Runs `fn`, in which every product takes its best block at once, whatever that compiles. */
export function withoutStandIns<T>(fn: () => T): T {
  checkArgument("withoutStandIns(): fn", fn, "a function");
  return atOnce.run(true, fn);
}

// ---------------------------------------------------------------------------

const CHEAP: Block = { rows: 8, columns: 4 };
const atOnce = ambient(false);
const counts = new WeakMap<Gpu, Map<number, number>>();

function countsOf(gpu: Gpu): Map<number, number> {
  let own = counts.get(gpu);
  if (!own) counts.set(gpu, own = new Map());
  return own;
}
