import { refuseArgument, showValue } from "../arguments.ts";
import { raise } from "../errors.ts";
import { narrowBF16, widenBF16 } from "./bf16.ts";
import { type DType, DTYPES, type TensorData } from "./dtype.ts";
import { checkSpec, numel } from "./shape.ts";
import { type Backend, registerBackend, Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";
import { hostBytes, toTyped } from "./values.ts";

/** Values in float64 on the host: the oracle that the shaders are held against. Slow and easy to read. */
export class ReferenceStorage extends Storage {
  /** The reference backend. */
  override readonly backend: Backend = referenceBackend;
  /** One float64 per element, whatever the dtype. */
  values: Float64Array;

  /**
   * Takes over the values.
   *
   * @param values One float64 per element.
   */
  constructor(values: Float64Array) {
    super();
    this.values = values;
  }

  /** Gives the memory back. */
  protected override free(): void {
    this.values = new Float64Array(0);
  }
}

/** The reference device. */
export const referenceBackend: Backend = {
  device: "reference",
  allocate: (spec, label) => {
    checkSpec(spec);
    return new ReferenceStorage(new Float64Array(hostBytes(numel(spec.shape) * 8, label)));
  },
  upload: (spec, data) => {
    checkSpec(spec);
    if (!ArrayBuffer.isView(data) || data instanceof DataView) {
      refuseArgument("upload(): data", data, "a typed array");
    }
    return new ReferenceStorage(widen(data, spec.dtype));
  },
  read: (storage, spec) => {
    checkSpec(spec);
    if (!(storage instanceof ReferenceStorage)) {
      refuseArgument("read(): storage", storage, "a ReferenceStorage");
    }
    return Promise.resolve(narrow(storage.values, spec.dtype));
  },
};

/**
 * The float64 values of a tensor on the reference device: the array itself, not a copy.
 *
 * @throws KW-TENSOR-DEVICE for a tensor elsewhere, KW-TENSOR-RELEASED
 *
 * @example
 * ```ts
 * import { Tensor } from "@kernelwright/sdk";
 * import { referenceValues } from "@kernelwright/sdk/ops";
 * import { assertEquals } from "@std/assert";
 *
 * using x = Tensor.from([1, 2], { device: "reference" });
 * referenceValues(x)[0] = 5;
 * assertEquals([...await x.data()], [5, 2]);
 * ```
 */
export function referenceValues(t: Tensor): Float64Array {
  return (t?.storage as ReferenceStorage | undefined)?.values ?? refuseDevice(t);
}

/**
 * Writes values over those of a tensor on the reference device, from element `offset` on; raw bits for bf16.
 *
 * @throws KW-TENSOR-DATA for a value that the dtype cannot hold, or one past the end; KW-TENSOR-DEVICE
 */
export function setReferenceValues(t: Tensor, data: TensorData, offset = 0): void {
  const values = referenceValues(t);
  if (!ArrayBuffer.isView(data) || data instanceof DataView) {
    refuseArgument("setReferenceValues(): data", data, "a typed array");
  }
  if (!(Number.isInteger(offset) && offset >= 0 && offset + data.length <= values.length)) {
    raise(
      "KW-TENSOR-DATA",
      `Cannot write ${data.length} values to ${t.describe()} from element ${showValue(offset)} on`,
      `It has ${values.length} elements.`,
      { tensor: t.name },
    );
  }
  if (t.dtype === "bf16") values.set(widenBits(toTyped(data, "bf16")), offset);
  else values.set(DTYPES[t.dtype].float ? data : toTyped(data, t.dtype), offset);
}

registerBackend(referenceBackend);

// ---------------------------------------------------------------------------

function refuseDevice(t: unknown): never {
  const at = typeof t === "object" && t !== null ? (t as Tensor).device : undefined;
  if (typeof at !== "string" || typeof (t as Tensor).describe !== "function") {
    refuseArgument("referenceValues(): the tensor", t, "a Tensor");
  }
  raise(
    "KW-TENSOR-DEVICE",
    `Cannot look at the values of ${(t as Tensor).describe()}: it is on "${at}"`,
    'Bring it to the reference device with `await t.to("reference")`.',
  );
}

function widen(data: TensorData, dtype: DType): Float64Array {
  return Float64Array.from(dtype === "bf16" ? widenBits(data) : data);
}

function widenBits(data: TensorData): Float32Array {
  const bits = new Uint32Array(data.length);
  widenBF16(data as Uint16Array, bits);
  return new Float32Array(bits.buffer);
}

function narrowBits(values: Float64Array): Uint16Array {
  const bits = new Uint16Array(values.length);
  narrowBF16(new Uint32Array(Float32Array.from(values).buffer), bits);
  return bits;
}

/** Floats stay float64, so that nothing is rounded before it is compared; bf16 is only stored, never computed. */
function narrow(values: Float64Array, dtype: DType): TensorData {
  switch (dtype) {
    case "i32":
      return Int32Array.from(values);
    case "u32":
      return Uint32Array.from(values);
    case "u8":
    case "bool":
      return Uint8Array.from(values);
    case "bf16":
      return narrowBits(values);
    default:
      return values.slice();
  }
}
