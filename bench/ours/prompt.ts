/** The prompt of a prefill: ids that every process makes alike. */
export function promptIds(tokens: number, vocabulary: number): Int32Array<ArrayBuffer> {
  return Int32Array.from({ length: tokens }, (_, i) => (i * 37 + 1) % vocabulary);
}
