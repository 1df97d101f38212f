import { refuseArgument } from "../arguments.ts";
import { raise } from "../errors.ts";
import { checkDTypeName, type DType } from "./dtype.ts";
import { checkSpec, formatShape, sameShape, type Shape } from "./shape.ts";
import { metaBackend } from "./meta.ts";
import { keep } from "./scope.ts";
import { Tensor } from "./tensor.ts";
import { noteWrite, writesAreGuarded } from "./write_guard.ts";

/**
 * A tensor that belongs to a module and is filled from a checkpoint.
 *
 * It begins on the meta device. Filling it changes its storage, never its identity: whoever holds the parameter
 * (a tied head, an undo record) sees the new values.
 *
 * @example
 * ```ts
 * import { openGpu, Parameter, parameter, Tensor } from "@kernelwright/sdk";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * using weight: Parameter = parameter([2]);
 * assertEquals(weight.materialized, false);
 * weight.assign(Tensor.from([1, 2]));
 * ```
 */
export class Parameter extends Tensor {
  /**
   * Makes a parameter on the meta device.
   *
   * @param shape The sizes of the dimensions. @param dtype The element type; defaults to `f32`.
   * @throws KW-TENSOR-SHAPE for a size that is negative or fractional, or a product that is no safe integer.
   */
  constructor(shape: Shape, dtype: DType = "f32") {
    const spec = { shape, dtype };
    checkSpec(spec);
    super(spec, metaBackend.allocate(spec));
    keep(this); // modules outlive the scopes that they are built in
  }

  /** Whether it has values. */
  get materialized(): boolean {
    return this.device !== "meta";
  }

  /**
   * Takes over the values of `source` (same shape), which is left released.
   * The dtype becomes that of `source`.
   *
   * @throws KW-TENSOR-SHAPE, KW-TENSOR-RELEASED
   */
  assign(source: Tensor): void {
    if (!(source instanceof Tensor)) refuseArgument("assign(): source", source, "a Tensor");
    if (!sameShape(source.shape, this.shape)) {
      raise(
        "KW-TENSOR-SHAPE",
        `Cannot assign ${source.describe()} to ${this.describe()}`,
        `It must be ${formatShape(this.shape)}.`,
      );
    }
    if (writesAreGuarded()) noteWrite(this.storage, "assign");
    this.takeStorage(source);
  }

  /** Gives the values back and returns to the meta device, with the same shape. */
  unload(dtype: DType = this.dtype): void {
    checkDTypeName(dtype);
    if (writesAreGuarded()) noteWrite(this.storage, "unload");
    this.toMeta(dtype);
  }
}

/**
 * A parameter on the meta device, to be filled by a loader: `this.weight = parameter([out, in])`.
 * See the example of {@linkcode Parameter}.
 */
export function parameter(shape: Shape, dtype: DType = "f32"): Parameter {
  return new Parameter(shape, dtype);
}
