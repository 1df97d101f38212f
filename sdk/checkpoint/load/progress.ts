import type { LoadProgress } from "./load.ts";

/** How often a line is written, and how long a load may take before the first. */
const [EVERY_MS, QUIET_MS] = [500, 2000];

/**
 * An `onProgress` that writes to stderr once a load takes longer than two seconds: `loading 412 of 2048 MiB`.
 *
 * @param write Where the lines go; stderr unless told.
 */
export function stderrProgress(
  write: (line: string) => void = (line) => console.error(line),
): (progress: LoadProgress) => void {
  const start = performance.now();
  let last = start + QUIET_MS - EVERY_MS;
  return ({ bytes, totalBytes, key }) => {
    const now = performance.now();
    if (now - last < EVERY_MS) return;
    last = now;
    const mib = (n: number) => Math.round(n / 2 ** 20);
    write(`loading ${mib(bytes)} of ${mib(totalBytes)} MiB (${key})`);
  };
}
