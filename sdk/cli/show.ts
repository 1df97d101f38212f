/** The middle of some numbers; 0 for none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** `1.2 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (bytes >= 1024 && i < units.length - 1) [bytes, i] = [bytes / 1024, i + 1];
  return `${i === 0 ? bytes : bytes.toFixed(1)} ${units[i]}`;
}

/** A progress callback that prints to stderr, at most once a second and only when the work takes longer than that. */
export function progress(what: string): (p: { readonly bytes: number; readonly totalBytes: number }) => void {
  let last = performance.now();
  return ({ bytes, totalBytes }) => {
    if (performance.now() - last < 1000) return;
    last = performance.now();
    console.error(`${what}: ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`);
  };
}
