/**
 * Attention with q, k and v in one matrix, ordered so that the rotary embedding turns neighbours.
 *
 * @module
 */
export { QKVAttention } from "./kernel.ts";
export { QKVAttentionLayout } from "./layout.ts";
