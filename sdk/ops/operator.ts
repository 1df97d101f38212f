/**
 * An operator has three legs: a shape rule (meta), a WGSL implementation, and a reference in plain float64
 * TypeScript. This file walks on the right one.
 *
 *   rmsNorm(x, weight, 1e-5) ──► infer(…) ──► tracing or meta: a meta tensor, and the tracer is told
 *                                        ├──► webgpu: dispatch into a new tensor
 *                                        └──► reference: loops over Float64Arrays
 */
import { checkArgument, checkFields, refuseArgument, showValue } from "../arguments.ts";
import { about, inContext, KernelwrightError, raise } from "../errors.ts";
import { collectsOperators } from "../gpu/mod.ts";
import {
  checkSpec,
  currentTracer,
  type DeviceName,
  type DType,
  metaBackend,
  noteWrite,
  referenceValues,
  Tensor,
  type TensorSpec,
  withTracer,
  writesAreGuarded,
} from "../tensor/mod.ts";

/** The legs of an operator that makes one new tensor. */
export interface OperatorLegs<A extends readonly unknown[]> {
  /** The operator's name, for traces and errors. */
  readonly name: string;
  /** Shape and dtype of the result; raises KW-TENSOR-SHAPE or -DTYPE where the inputs do not fit. */
  readonly infer: (...args: A) => TensorSpec;
  /** Dispatches shaders that fill `out`. Not called when `out` has no elements. */
  readonly webgpu: (out: Tensor, ...args: A) => void;
  /** Fills `out` with plain loops. Inputs are read with `referenceValues(t)`. */
  readonly reference: (out: Float64Array, ...args: A) => void;
}

/** The legs of an operator that changes its first argument instead of making a tensor. */
export interface InPlaceLegs<A extends readonly [Tensor, ...unknown[]]> {
  /** The operator's name. */
  readonly name: string;
  /** Raises where the inputs do not fit. */
  readonly check: (...args: A) => void;
  /** Dispatches shaders that change the first argument. */
  readonly webgpu: (...args: A) => void;
  /** Changes the first argument's {@linkcode referenceValues}. */
  readonly reference: (...args: A) => void;
}

/**
 * Makes an operator from its legs. Arguments that are tensors, or arrays of tensors, are its inputs.
 *
 * @example
 * ```ts
 * import { dispatch, openGpu, shader, Tensor } from "@kernelwright/sdk";
 * import { operator, referenceValues } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * const code = `@group(0) @binding(0) var<storage, read> x: array<f32>;
 * @group(0) @binding(1) var<storage, read_write> out: array<f32>;
 * @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { out[id.x] = x[id.x] * x[id.x]; }`;
 * const squares = shader({ name: "square.wgsl", code });
 * const square = operator<[x: Tensor]>({
 *   name: "square",
 *   infer: (x) => ({ shape: x.shape, dtype: "f32" }),
 *   webgpu: (out, x) => dispatch(squares, { x, out }, { workgroups: x.size }),
 *   reference: (out, x) => referenceValues(x).forEach((v, i) => out[i] = v * v),
 * });
 * await openGpu();
 * for (const device of ["webgpu", "reference"] as const) {
 *   using x = Tensor.from([1, 2, 3], { device }), out = square(x);
 *   assertEquals([...await out.data()], [1, 4, 9]);
 * }
 * ```
 */
export function operator<A extends readonly unknown[]>(legs: OperatorLegs<A>): (...args: A) => Tensor {
  checkFields("operator(): legs", legs, {
    name: "a string",
    infer: "a function",
    webgpu: "a function",
    reference: "a function",
  });
  const where = { operator: legs.name };
  return (...args) => {
    const inputs = tensorsOf(args);
    let spec: TensorSpec;
    try {
      spec = legs.infer(...args);
    } catch (error) {
      refuseForeign(legs.name, args, error);
    }
    const tracer = currentTracer();
    const device = tracer ? "meta" : sharedDevice(legs.name, inputs);
    if (device === "meta") {
      checkSpec(spec);
      const out = new Tensor(spec, metaBackend.allocate(spec));
      tracer?.op(legs.name, inputs, [out]);
      if (tracer && out.size > 0) showDispatches(() => legs.webgpu(out, ...args));
      return out;
    }
    const out = Tensor.empty(spec.shape, { dtype: spec.dtype, device });
    try {
      if (device === "reference") legs.reference(referenceValues(out), ...args);
      else if (out.size > 0) inContext(where, () => legs.webgpu(out, ...args));
    } catch (error) {
      out.dispose(); // nobody else will: outside of a scope it would stay
      throw error;
    }
    return out;
  };
}

/**
 * Makes an operator that changes its first argument.
 *
 * @example
 * ```ts
 * import { dispatch, openGpu, shader, Tensor } from "@kernelwright/sdk";
 * import { checkDType, inPlaceOperator, referenceValues } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * const code = `@group(0) @binding(0) var<storage, read_write> x: array<f32>;
 * @compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { x[id.x] = 2 * x[id.x]; }`;
 * const double = shader({ name: "double.wgsl", code });
 * const doubled = inPlaceOperator<[x: Tensor]>({
 *   name: "doubled",
 *   check: (x) => checkDType("run doubled", x, ["f32"]),
 *   webgpu: (x) => dispatch(double, { x }, { workgroups: x.size }),
 *   reference: (x) => referenceValues(x).forEach((v, i, values) => values[i] = 2 * v),
 * });
 * await openGpu();
 * for (const device of ["webgpu", "reference"] as const) {
 *   using x = Tensor.from([1, 2], { device });
 *   doubled(x);
 *   assertEquals([...await x.data()], [2, 4]);
 * }
 * ```
 */
export function inPlaceOperator<A extends readonly [Tensor, ...unknown[]]>(
  legs: InPlaceLegs<A>,
): (...args: A) => void {
  checkFields("inPlaceOperator(): legs", legs, {
    name: "a string",
    check: "a function",
    webgpu: "a function",
    reference: "a function",
  });
  return (...args) => {
    const inputs = tensorsOf(args);
    try {
      legs.check(...args);
    } catch (error) {
      refuseForeign(legs.name, args, error);
    }
    if (writesAreGuarded()) noteWrite(args[0].storage, legs.name);
    const tracer = currentTracer();
    const device = tracer ? "meta" : sharedDevice(legs.name, inputs);
    if (device === "meta") {
      tracer?.op(legs.name, inputs, [args[0]]);
      if (tracer) showDispatches(() => legs.webgpu(...args));
    } else if (device === "reference") legs.reference(...args);
    else legs.webgpu(...args);
  };
}

/**
 * Raises KW-TENSOR-DTYPE unless `t` has one of the dtypes.
 *
 * @example
 * ```ts
 * import { Tensor } from "@kernelwright/sdk";
 * import { checkDType, FLOATS } from "@kernelwright/sdk/ops";
 * import { assertThrows } from "@std/assert";
 *
 * using ids = Tensor.empty([2], { dtype: "i32", device: "meta" });
 * assertThrows(() => checkDType("run square", ids, FLOATS), Error, "KW-TENSOR-DTYPE");
 * ```
 */
export function checkDType(action: string, t: Tensor, allowed: readonly DType[]): void {
  if (Array.isArray(allowed) && t instanceof Tensor && allowed.includes(t.dtype)) return;
  if (!(t instanceof Tensor)) {
    refuseArgument(`${typeof action === "string" ? action : "checkDType()"}: a tensor`, t, "a Tensor");
  }
  checkArgument("checkDType(): allowed", allowed, "strings in an array");
  checkArgument("checkDType(): action", action, "a string");
  raise(
    "KW-TENSOR-DTYPE",
    `Cannot ${action}: ${t.describe()} is ${t.dtype}`,
    `It takes ${allowed.join(" or ")}.`,
  );
}

/**
 * The dtypes that arithmetic is done in.
 *
 * See the example of {@linkcode checkDType}.
 */
export const FLOATS: readonly DType[] = ["f32", "f16"];

// ---------------------------------------------------------------------------

/** Lets whoever collects pipelines see an operator's dispatches; to the tracer the operator is one step. */
function showDispatches(run: () => void): void {
  if (collectsOperators()) withTracer({ op: () => {} }, run);
}

function tensorsOf(args: readonly unknown[]): Tensor[] {
  const found: Tensor[] = [];
  for (const a of args) {
    if (a instanceof Tensor) found.push(a);
    else if (Array.isArray(a)) { for (const b of a) if (b instanceof Tensor) found.push(b); }
  }
  return found;
}

/** What a shape rule tripped over is an argument that it was not written for: no check before it costs every call. */
function refuseForeign(name: string, args: readonly unknown[], error: unknown): never {
  if (error instanceof KernelwrightError) throw error;
  const odd = args.findIndex((a) => !(a instanceof Tensor));
  raise(
    "KW-ARGUMENT",
    `Cannot run ${name}: ${
      odd < 0 ? "there is no tensor" : `argument ${odd + 1} is ${showValue(args[odd])}`
    }`,
    "Give tensors where it takes tensors, and numbers or lists of numbers where it takes those.",
    { operator: name },
    error,
  );
}

function sharedDevice(name: string, inputs: readonly Tensor[]): DeviceName {
  if (inputs.length === 0) refuseForeign(name, [], undefined);
  const device = inputs[0].device;
  for (const odd of inputs) {
    if (odd.device === device) continue;
    const error = new KernelwrightError({
      code: "KW-TENSOR-DEVICE",
      what: `Cannot run ${name}: ${
        inputs[0].describe()
      } is on "${device}", and ${odd.describe()} on "${odd.device}"`,
      fix: "Bring them to one device with `await t.to(…)`; a parameter on meta has not been loaded.",
    });
    throw about(error, odd.device === "meta" ? odd : inputs.find((t) => t.device === "meta") ?? odd);
  }
  return device;
}
