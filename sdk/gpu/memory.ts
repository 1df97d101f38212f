import { currentGpu } from "./device.ts";
import type { PoolStats } from "./memory/pool.ts";

/** What the GPU holds. */
export interface MemoryReport extends PoolStats {
  /** Tensors' memories that are alive; those that share one (a reshape) count once. */
  readonly tensors: number;
  /** Compiled pipelines; those used longest ago go when there are many. */
  readonly pipelines: number;
  /** Combinations of a pipeline and buffers whose bind groups are kept. */
  readonly bindGroups: number;
}

/** One live tensor's memory. */
export interface LiveTensor {
  /** The tensor's name, if it has one. */
  readonly name?: string;
  /** Its size in bytes. */
  readonly bytes: number;
  /** The line that made it; only while {@linkcode traceAllocations} was on. */
  readonly madeAt?: string;
}

/**
 * Live tensors, buffers and bytes of the opened device.
 * See the example of {@linkcode scope}.
 */
export function memory(): MemoryReport {
  const gpu = currentGpu();
  return {
    tensors: gpu.backend.live.size,
    pipelines: gpu.pipelines.size,
    bindGroups: gpu.pipelines.bindGroupCount,
    ...gpu.pool.stats(),
  };
}

/**
 * Remembers, from now on, the line that makes each tensor (slow: for finding leaks).
 *
 * See the example of {@linkcode liveTensors}.
 */
export function traceAllocations(on: boolean): void {
  currentGpu().backend.traceAllocations = on;
}

/**
 * Every live tensor's memory, oldest first.
 *
 * @example
 * ```ts
 * import { openGpu, Tensor } from "@kernelwright/sdk";
 * import { liveTensors, traceAllocations } from "@kernelwright/sdk/inspect";
 * import { assertEquals } from "@std/assert";
 *
 * await openGpu();
 * traceAllocations(true);
 * using _x = Tensor.zeros([1024], { name: "x" });
 * traceAllocations(false);
 * const { bytes, madeAt } = liveTensors().find((t) => t.name === "x")!;
 * assertEquals(bytes, 4096);
 * console.log(madeAt); // this file, and the line of Tensor.zeros
 * ```
 */
export function liveTensors(): LiveTensor[] {
  return [...currentGpu().backend.live].map((s) => ({
    name: s.label,
    bytes: s.buffer.size,
    madeAt: s.madeAt,
  }));
}
