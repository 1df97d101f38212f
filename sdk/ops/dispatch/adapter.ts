/**
 * Which of an operator's shaders runs, by shape and adapter: in this one place, by measurement.
 *
 * Software figures: llvmpipe, 2 cores that others used too, GPU time by timestamps, medians of interleaved runs. No
 * real GPU was at hand: what is chosen there follows from how they work, and `probe.ts` can measure.
 */
import { gpuIfOpen } from "../../gpu/mod.ts";

/** Whether shaders run on the processor: barriers and workgroup memory cost there, and lanes do not coalesce. */
export function onSoftware(): boolean {
  return gpuIfOpen()?.info.software ?? false;
}

/**
 * How many lanes share a line of `steps` loads, which are walked in `rounds` rounds of loops each; 1 for a line per
 * invocation.
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
export function lanesOf(lines: number, steps: number, inner: number, rounds: number): number {
  if (onSoftware()) {
    const enough = [8, 64, 256].find((lanes) => steps * rounds / lanes <= MOST_ROUNDS) ?? 256;
    if (steps * rounds > MOST_ROUNDS) return enough;
    return inner === 1 && lines < 8 && steps >= 128 ? 8 : 1;
  }
  if (inner !== 1) return 1; // neighbours are read by neighbours already
  return steps < 32 ? 1 : steps < 1024 ? 64 : 256;
}

/**
 * Lines side by side in a workgroup, where each has an invocation of its own. A software workgroup runs on one core:
 * 64×512 takes 0.8 of the time in groups of eight, and 2048×64 1.1 times as long.
 */
export function groupOf(lines: number): number {
  return onSoftware() && lines < 1024 ? 8 : 64;
}

/**
 * llvmpipe leaves every loop of an invocation after 65,535 rounds in all, without a word: a sum of 66,000 ones is
 * 65,535 there. So no invocation may be given more than this.
 */
export const MOST_ROUNDS = 60_000;

/** How attention is cut. */
export interface AttentionPlan {
  /** A workgroup per block, with workgroup memory; otherwise an invocation. */
  readonly tile: boolean;
  /** Queries of a block: heads that share a key head, token by token. */
  readonly queries: number;
  /** Blocks of a row and key head. */
  readonly blocks: number;
  /** Chunks that the visible keys are cut into. */
  readonly chunks: number;
}

/**
 * Large blocks load keys and values less often; chunks bring work where queries are few. The counts follow from
 * shapes alone, so that every step of a generation has the same; where chunks begin, the shader reads off the position.
 *
 * On software a block is written out: 64 vectors of queries compile in 0.8 seconds of a core, 128 in 1.5, so those
 * have to be worth it. A second dispatch is worth about 500 loads, so short caches are not cut. Against a head of a
 * token per invocation, GPU and core time:
 *
 *     decode   1@1023 of 1024, 8/4 heads of 64 0.57   32/8 heads of 128 0.36   1@100 of 1024 0.64   1@127 of 128, 8/4 of 8 0.87
 *     prefill  64 over 64, 8/4 of 64 0.33   128 over 128, 8/8 of 64 0.29; 64 vectors instead of 128 1.2 and 1.3 times
 *              that, with heads of 128 1.7 times
 *     tiles    2 to 60 times as long everywhere: three barriers for 64 keys
 */
export function planAttention(
  { rows, queries, keys, keyHeads, steps }: {
    readonly rows: number;
    readonly queries: number;
    readonly keys: number;
    readonly keyHeads: number;
    readonly steps: number;
  },
): AttentionPlan {
  const tile = !onSoftware() && steps <= 64;
  const most = steps <= 16 ? 8 : steps <= 32 ? 4 : 1;
  const block = tile ? 4 : rows * keyHeads * queries / most < 64 ? Math.ceil(most / 2) : most;
  const size = tile || queries > 2 ? block : Math.min(block, queries); // few sizes, so that few are compiled
  const blocks = Math.ceil(queries / size);
  const count = rows * blocks * keyHeads;
  const [enough, shortest] = tile ? [128, 128] : [32, Math.max(16, 1024 / steps)];
  const cut = Math.min(Math.floor(keys / shortest), Math.ceil(enough / count));
  const chunks = Math.max(1, cut, Math.ceil(keys / MOST_ROUNDS));
  return { tile, queries: size, blocks, chunks };
}
