import { checkArgument } from "../../arguments.ts";
import { stridesOf, type TensorSpec } from "../../tensor/mod.ts";
import { bindMoves, type ConversionOp, dimOf, type Move, refuse } from "./op.ts";

/**
 * Exchanges two dimensions of each tensor.
 * See the example of {@linkcode convert}.
 *
 * @param a One dimension; a negative one counts from the end.
 * @param b The other.
 */
export function transpose(a = 0, b = 1): ConversionOp {
  const op: ConversionOp = {
    name: "transpose",
    parameters: { a, b },
    bind: (inputs) =>
      bindOrders(op, inputs, ({ shape }) => {
        const [i, j] = [dimOf(op, inputs, a, shape.length), dimOf(op, inputs, b, shape.length)];
        return shape.map((_, d) => d === i ? j : d === j ? i : d);
      }),
  };
  return op;
}

/**
 * Reorders the dimensions of each tensor.
 * See the example of {@linkcode convert}.
 *
 * @param dims For each dimension of the result, the one that it was.
 */
export function permute(dims: readonly number[]): ConversionOp {
  checkArgument("permute(): dims", dims, "numbers in an array");
  const op: ConversionOp = {
    name: "permute",
    parameters: { dims: [...dims] },
    bind: (inputs) =>
      bindOrders(op, inputs, ({ shape }) => {
        const order = dims.map((d) => dimOf(op, inputs, d, shape.length));
        if (order.length !== shape.length || new Set(order).size !== order.length) {
          refuse(
            op,
            inputs,
            `[${dims.join(", ")}] is not an order of ${shape.length} dimensions`,
            "Name each dimension once.",
          );
        }
        return order;
      }),
  };
  return op;
}

// ---------------------------------------------------------------------------

function bindOrders(
  op: ConversionOp,
  inputs: readonly TensorSpec[],
  orderOf: (spec: TensorSpec) => readonly number[],
): ReturnType<typeof bindMoves> {
  const orders = inputs.map(orderOf);
  const outputs = inputs.map((s, i) => ({ dtype: s.dtype, shape: orders[i].map((d) => s.shape[d]) }));
  const moves = inputs.map((s, i): Move => {
    const strides = stridesOf(s.shape);
    return {
      input: i,
      output: i,
      region: {
        shape: outputs[i].shape,
        source: { offset: 0, strides: orders[i].map((d) => strides[d]) },
        target: { offset: 0, strides: stridesOf(outputs[i].shape) },
      },
    };
  });
  return bindMoves(op, inputs, outputs, moves);
}
