export { cast } from "./cast.ts";
export { chunk, concatenate, split } from "./concatenate.ts";
export { interleave } from "./interleave.ts";
export { type BoundOp, type ConversionOp, describeOp, type Move } from "./op.ts";
export { pad, type PadOptions } from "./pad.ts";
export { expandRule, matchPattern, nameTargets, WeightConverter, WeightRenaming } from "./pattern.ts";
export { permuteForRope, type RopePermutation } from "./permute_for_rope.ts";
export { isRun } from "./region.ts";
export { reshape } from "./reshape.ts";
export {
  bindRule,
  type BoundRule,
  type ConversionRule,
  convert,
  type ConvertOptions,
  describeRule,
  rename,
} from "./rule.ts";
export { stackList, type StackOptions, unstackList } from "./stack_list.ts";
export { permute, transpose } from "./transpose.ts";
