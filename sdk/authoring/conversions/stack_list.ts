import { checkArgument } from "../../arguments.ts";
import { numel, type TensorSpec } from "../../tensor/mod.ts";
import { bindMoves, type ConversionOp, dimOf, type Move, onlyInput, refuse, sameSpecs } from "./op.ts";
import { stridesOf } from "../../tensor/mod.ts";
import { swapRegion } from "./region.ts";

/** How {@linkcode stackList} groups its inputs. */
export interface StackOptions {
  /** How many lists the inputs are, one after the other: each becomes a tensor of its own. Defaults to one. */
  readonly lists?: number;
}

/**
 * Makes one tensor of a list of equal ones (the experts of a layer), with a new dimension for the index.
 * See the example of {@linkcode convert}.
 *
 * @param dim Where the new dimension goes; a negative one counts from the end of the result.
 */
export function stackList(dim = 0, options: StackOptions = {}): ConversionOp {
  checkArgument("stackList(): options", options, "an object");
  const lists = options.lists ?? 1;
  const op: ConversionOp = {
    name: "stackList",
    parameters: { dim, lists: options.lists },
    bind: (inputs) => {
      const item = sameSpecsPerList(op, inputs, lists);
      const length = inputs.length / lists;
      const outputs = item.map((s) => stackedSpec(op, inputs, s, length, dim));
      const moves = inputs.map((_, i): Move => {
        const list = Math.floor(i / length);
        return {
          input: i,
          output: list,
          region: swapRegion(slice(outputs[list], item[list], i % length, dim)),
        };
      });
      return bindMoves(op, inputs, outputs, moves);
    },
  };
  return op;
}

/**
 * Makes a list of tensors of one, along a dimension, which disappears. A dimension of size one gives a list of one.
 * See the example of {@linkcode convert}.
 *
 * @param dim The dimension; a negative one counts from the end.
 */
export function unstackList(dim = 0): ConversionOp {
  const op: ConversionOp = {
    name: "unstackList",
    parameters: { dim },
    bind: (inputs) => {
      const stacked = onlyInput(op, inputs);
      const d = dimOf(op, inputs, dim, stacked.shape.length);
      const item = { dtype: stacked.dtype, shape: stacked.shape.toSpliced(d, 1) };
      const outputs = new Array<TensorSpec>(stacked.shape[d]).fill(item);
      const moves = outputs.map((_, i): Move => ({
        input: 0,
        output: i,
        region: slice(stacked, item, i, d),
      }));
      return bindMoves(op, inputs, outputs, moves);
    },
  };
  return op;
}

// ---------------------------------------------------------------------------

function sameSpecsPerList(op: ConversionOp, inputs: readonly TensorSpec[], lists: number): TensorSpec[] {
  if (!Number.isInteger(lists) || lists < 1 || inputs.length % lists !== 0 || inputs.length === 0) {
    refuse(op, inputs, `${inputs.length} tensors are not ${lists} equal lists`, "Give lists of one length.");
  }
  const length = inputs.length / lists;
  return Array.from({ length: lists }, (_, l) => sameSpecs(op, inputs.slice(l * length, (l + 1) * length)));
}

function stackedSpec(
  op: ConversionOp,
  inputs: readonly TensorSpec[],
  item: TensorSpec,
  length: number,
  dim: number,
): TensorSpec {
  const d = dimOf(op, inputs, dim, item.shape.length + 1);
  return { dtype: item.dtype, shape: item.shape.toSpliced(d, 0, length) };
}

/** The copy of item `index` out of a stack. */
function slice(stacked: TensorSpec, item: TensorSpec, index: number, dim: number): Move["region"] {
  const d = dim < 0 ? dim + stacked.shape.length : dim;
  const strides = stridesOf(stacked.shape);
  return {
    shape: item.shape,
    source: { offset: numel(item.shape) === 0 ? 0 : index * strides[d], strides: strides.toSpliced(d, 1) },
    target: { offset: 0, strides: stridesOf(item.shape) },
  };
}
