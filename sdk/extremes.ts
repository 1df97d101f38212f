/** The largest and the least of lists of any length: an engine passes some 100,000 arguments in a call, and then throws. */

/** The largest; `start`, where nothing is larger. NaN where there is one. */
export function largestOf(values: Iterable<number>, start = -Infinity): number {
  let most = start;
  for (const v of values) most = Math.max(most, v);
  return most;
}

/** The least; `start`, where nothing is less. NaN where there is one. */
export function leastOf(values: Iterable<number>, start = Infinity): number {
  let least = start;
  for (const v of values) least = Math.min(least, v);
  return least;
}
