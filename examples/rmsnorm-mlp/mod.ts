/**
 * An RMSNorm and the gated MLP behind it, fused into two shaders, with gate and up in one matrix.
 *
 * @module
 */
export { RMSNormMLP } from "./kernel.ts";
export { RMSNormMLPLayout } from "./layout.ts";
