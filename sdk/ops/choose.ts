/**
 * Which of an operator's shaders runs, by shape and adapter: in this one place, by measurement.
 *
 * Software figures: llvmpipe, 2 cores that others used too, GPU time by timestamps, medians of interleaved runs. No
 * real GPU was at hand: what is chosen there follows from how they work, and `probe.ts` can measure.
 */
import { gpuIfOpen } from "../gpu/mod.ts";

/** Whether shaders run on the processor: barriers and workgroup memory cost there, and lanes do not coalesce. */
export function onSoftware(): boolean {
  return gpuIfOpen()?.info.software ?? false;
}

/**
 * How many lanes share a line of `steps` loads; 1 for a line per invocation.
 *
 * On software eight lanes fill a vector and pass one barrier. Against a line per invocation they take:
 *
 *     rmsNorm  1×512 0.99   1×2048 0.90   1×8192 0.60   4×2048 0.85   8×512 1.03   64×64 1.35
 *     argmax   1×2048 0.81   1×8192 0.38   1×32000 0.22   1×128000 0.32
 *     softmax  1×2048 0.70   1×32000 0.32   4×2048 0.90   2048×64 1.9
 *
 * and 64 lanes more than eight everywhere. Two passes, with partial results of 16 to 64 invocations in between, take
 * 1.05 to 1.3 times as long as one workgroup of eight at every width from 512 to 128,000: a second dispatch costs
 * more than the second core brings.
 */
export function lanesOf(lines: number, steps: number, inner: number): number {
  if (inner !== 1) return 1; // neighbours are read by neighbours already
  if (onSoftware()) return lines < 8 && steps >= 128 ? 8 : 1;
  return steps < 32 ? 1 : steps < 1024 ? 64 : 256;
}
