/**
 * GPU time of recorded work, by timestamp queries at the ends of each compute pass: what the shaders took, without
 * the host's share. Copies between passes are not counted.
 */
import { checkArgument } from "../arguments.ts";
import { currentGpu } from "./device.ts";

const MOST_PASSES = 128;

/**
 * Whether the opened device can time passes.
 *
 * See the example of {@linkcode gpuTime}.
 */
export function canTime(): boolean {
  return currentGpu().features.has("timestamp-query");
}

/**
 * Runs `fn`, which records work, and tells how long the GPU took for it, in milliseconds.
 *
 * @returns The time, or undefined where the adapter has no timestamp queries or the work was cut into more than 128 passes.
 *
 * @example
 * ```ts
 * import { openGpu, scope, Tensor } from "@kernelwright/sdk";
 * import { canTime, gpuTime } from "@kernelwright/sdk/inspect";
 * import { matmul } from "@kernelwright/sdk/ops";
 *
 * await openGpu();
 * using x = Tensor.zeros([64, 64]);
 * const ms = await gpuTime(() => scope(() => void matmul(x, x)));
 * console.log(canTime() ? `${ms} ms` : "this adapter has no timestamp queries");
 * ```
 */
export async function gpuTime(fn: () => void): Promise<number | undefined> {
  checkArgument("gpuTime(): fn", fn, "a function");
  if (!canTime()) {
    fn();
    return undefined;
  }
  const gpu = currentGpu();
  const { device, stream } = gpu;
  const querySet = device.createQuerySet({ type: "timestamp", count: 2 * MOST_PASSES });
  let passes = 0;
  stream.endPass();
  stream.timestamps = () => {
    const i = passes++;
    return i < MOST_PASSES
      ? { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 }
      : undefined;
  };
  try {
    fn();
  } finally {
    stream.timestamps = undefined;
    stream.submit();
  }
  try {
    if (passes === 0 || passes > MOST_PASSES) return passes === 0 ? 0 : undefined;
    return await resolveTimes(passes, querySet);
  } finally {
    querySet.destroy();
  }
}

async function resolveTimes(passes: number, querySet: GPUQuerySet): Promise<number> {
  const gpu = currentGpu();
  const { device, faults, readback, pool } = gpu;
  const bytes = passes * 16;
  const resolved = device.createBuffer({ size: Math.max(256, bytes), usage: 0x200 | 0x04 }); // QUERY_RESOLVE | COPY_SRC
  const target = pool.acquire(bytes);
  try {
    const { proof } = faults.scoped(() => {
      const encoder = device.createCommandEncoder();
      encoder.resolveQuerySet(querySet, 0, 2 * passes, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, target.buffer, 0, bytes);
      device.queue.submit([encoder.finish()]);
    });
    target.proofs = [proof];
    const stamps = new BigUint64Array(await readback.read(target, bytes));
    let nanoseconds = 0;
    for (let i = 0; i < passes; i++) nanoseconds += Number(stamps[2 * i + 1] - stamps[2 * i]);
    return nanoseconds / 1e6;
  } finally {
    pool.release(target);
    resolved.destroy();
  }
}
