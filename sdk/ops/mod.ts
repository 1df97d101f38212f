export { attention, type AttentionOptions } from "./attention/attention.ts";
export { add, div, mul, sub } from "./binary.ts";
export { advance, cacheWrite } from "./cache.ts";
export { cast } from "./cast.ts";
export { conv2d, type Conv2dOptions, type Pair } from "./conv2d.ts";
export { embedding } from "./embedding.ts";
export { linear } from "./matmul/linear.ts";
export { matmul } from "./matmul/matmul.ts";
export { layerNorm, rmsNorm } from "./norm.ts";
export {
  checkDType,
  FLOATS,
  type InPlaceLegs,
  inPlaceOperator,
  operator,
  type OperatorLegs,
} from "./operator.ts";
export { type Probed, type ProbeOptions, probeProducts } from "./matmul/probe.ts";
export { choiceOf, collectProducts, type Product, type ProductChoice } from "./matmul/choice.ts";
export { withoutStandIns } from "./matmul/stand_in.ts";
export { positionIds } from "./position_ids.ts";
export { concat, permute, slice, transpose } from "./rearrange.ts";
export { argmax, max, mean, sum } from "./reduce.ts";
export { rope, type RopeOptions } from "./rope.ts";
export { checkSampleOptions, sample, type SampleOptions } from "./sample.ts";
export { softmax } from "./softmax.ts";
export { stridedCopy, type StridedRegion, type StridedSide } from "./strided_copy.ts";
export { tokenPlaces } from "./token_places.ts";
export { topkMask } from "./topk_mask.ts";
export { exp, gelu, geluTanh, neg, relu, scale, sigmoid, silu, sqrt, tanh } from "./unary.ts";
