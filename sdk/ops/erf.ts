/**
 * The complementary error function in float64, to about 1e-15 of its value.
 *
 * Near zero the Taylor series of erf, farther out the continued fraction of erfc, as in Abramowitz and Stegun,
 * Handbook of Mathematical Functions, 7.1.5 and 7.1.14.
 */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  return x < 2 ? 1 - erfSeries(x) : erfcFraction(x);
}

// ---------------------------------------------------------------------------

function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-18; n++) {
    term *= -x * x / n;
    sum += term / (2 * n + 1);
  }
  return 2 / Math.sqrt(Math.PI) * sum;
}

function erfcFraction(x: number): number {
  let below = 0;
  for (let n = 60; n > 0; n--) below = n / 2 / (x + below);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + below);
}
