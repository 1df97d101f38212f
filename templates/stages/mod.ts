/**
 * Plain kernels of the SDK's own modules: correct, and there to be improved. `new-kernel` puts them together.
 *
 * @module
 */
export { activation } from "./activation.ts";
export { gatedMlp } from "./gated_mlp.ts";
export { layerNorm } from "./layer_norm.ts";
export { linear } from "./linear.ts";
export { rmsNorm } from "./rms_norm.ts";
