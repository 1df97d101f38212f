/**
 * Your own RMSNorm: one row to an invocation, with the weight padded to a multiple of four so that it is read as vec4.
 *
 * @module
 */
export { CustomRMSNorm, CustomRMSNormLayout } from "./kernel.ts";
