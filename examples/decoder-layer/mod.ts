/**
 * A whole decoder layer as one kernel: the way to fuse what has a residual in between.
 *
 * @module
 */
export { DecoderLayer } from "./kernel.ts";
export { DecoderLayerLayout } from "./layout.ts";
