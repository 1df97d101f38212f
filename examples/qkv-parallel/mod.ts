/**
 * The q, k and v projections of attention as one kernel with three outputs: siblings that are fed the same input.
 *
 * @module
 */
export { QKVParallel } from "./kernel.ts";
export { QKVParallelLayout } from "./layout.ts";
