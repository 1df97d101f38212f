import { assertEquals } from "@std/assert";
import { currentGpu, guardMemory } from "../../sdk/gpu/mod.ts";
import { type DeviceName, type DType, scope, type Shape, Tensor } from "../../sdk/tensor/mod.ts";
import { assertClose, type Tolerance } from "./assert_close.ts";

/** A tensor to be made on each device. */
export interface Input {
  /** Its shape. */
  readonly shape: Shape;
  /** Its values. */
  readonly data: ArrayLike<number>;
  /** Its dtype; defaults to that of the run. */
  readonly dtype?: DType;
}

/** The float dtypes to test: f16 where the adapter has it. */
export function* floatDTypes(): Generator<"f32" | "f16"> {
  yield "f32";
  if (currentGpu().features.has("shader-f16")) yield "f16";
}

/** What a rounding to the dtype may cost, and sums in f32. */
export function roundingOf(dtype: DType): Tolerance {
  return dtype === "f16" ? { relative: 2 ** -10 } : { relative: 2e-6 };
}

/** Runs an operator on webgpu and on the reference device, and compares. Releases what it made. */
export async function assertParity(
  run: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Input[],
  dtype: DType,
  tolerance: Tolerance = roundingOf(dtype),
): Promise<void> {
  const onGpu = await valuesOn("webgpu", run, inputs, dtype);
  const exact = await valuesOn("reference", run, inputs, dtype);
  assertEquals(onGpu.shape, exact.shape);
  assertEquals(onGpu.dtype, exact.dtype);
  assertClose(onGpu.data, exact.data.map((v) => asStored(v, exact.dtype)), tolerance, exact.shape);
}

/**
 * Runs an operator on one device and reads the result. Releases what it made.
 *
 * On the GPU every tensor has a guard zone behind it: a read past the end gives NaN, a write there fails.
 */
export async function valuesOn(
  device: DeviceName,
  run: (...inputs: Tensor[]) => Tensor,
  inputs: readonly Input[],
  dtype: DType = "f32",
): Promise<{ shape: Shape; dtype: DType; data: number[] }> {
  using guard = device === "webgpu" ? guardMemory() : undefined;
  const out = scope(() =>
    run(
      ...inputs.map(({ shape, data, dtype: own }) =>
        Tensor.from(Array.from(data), { shape, dtype: own ?? dtype, device })
      ),
    )
  );
  try {
    const data = Array.from(await out.data(), Number);
    assertEquals(await guard?.check() ?? [], [], "writes behind the end of a tensor");
    return { shape: out.shape, dtype: out.dtype, data };
  } finally {
    out.dispose();
  }
}

// ---------------------------------------------------------------------------

/** Numbers too large for the dtype are infinite in it. */
function asStored(v: number, dtype: DType): number {
  const most = dtype === "f16" ? 65520 : dtype === "f32" ? 3.40282356e38 : Infinity;
  return Math.abs(v) >= most ? Math.sign(v) * Infinity : v;
}
