/** Resizing as Pillow does it, to the bit: what published image processors were run with. */

/** Filters by their number in preprocessor_config.json. */
export const FILTERS: Readonly<Record<number, Filter>> = {
  2: { name: "bilinear", support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  3: { name: "bicubic", support: 2, at: bicubic },
};

/** How a new pixel weighs the old ones by their distance. */
export interface Filter {
  /** What it is called. */
  readonly name: string;
  /** Beyond that distance it is 0. */
  readonly support: number;
  /** The weight at a distance. */
  at(x: number): number;
}

/** Pixels with their channels together, row by row. */
export interface Pixels {
  /** Columns. */
  readonly width: number;
  /** Rows. */
  readonly height: number;
  /** `height · width · channels` numbers of 0 to 255. */
  readonly data: Uint8Array;
}

/**
 * Resizes an image. Where it becomes smaller the filter widens with it, so that every old pixel counts.
 *
 * @param channels How many numbers a pixel has.
 */
export function resize(
  image: Pixels,
  channels: number,
  width: number,
  height: number,
  filter: Filter,
): Pixels {
  let { data } = image;
  // Columns first, and rounded in between, as Pillow does.
  if (width !== image.width) {
    data = along(data, image.height, image.width, width, channels, filter);
  }
  if (height !== image.height) {
    data = along(data, 1, image.height, height, width * channels, filter);
  }
  return { width, height, data };
}

// ---------------------------------------------------------------------------

/** Keys' cubic convolution with a = −1/2 (Keys 1981). */
function bicubic(x: number): number {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}

/** Weights are whole numbers of this many binary places. */
const PLACES = 2 ** 22;

/** Resizes `[outer, from, inner]` to `[outer, to, inner]`. */
function along(
  data: Uint8Array,
  outer: number,
  from: number,
  to: number,
  inner: number,
  filter: Filter,
): Uint8Array {
  const out = new Uint8Array(outer * to * inner);
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  const sums = new Float64Array(inner);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(from, Math.trunc(center + support + 0.5));
    const shares = Array.from(
      { length: end - first },
      (_, k) => filter.at((k + first - center + 0.5) * (1 / stretch)),
    );
    const total = shares.reduce((a, b) => a + b, 0);
    const weights = shares.map((share) => {
      const exact = share * (total === 0 ? 1 : 1 / total) * PLACES;
      return Math.trunc(exact < 0 ? exact - 0.5 : exact + 0.5);
    });
    for (let o = 0; o < outer; o++) {
      sums.fill(PLACES / 2);
      for (let k = 0; k < weights.length; k++) {
        const start = (o * from + first + k) * inner;
        for (let j = 0; j < inner; j++) sums[j] += data[start + j] * weights[k];
      }
      const start = (o * to + i) * inner;
      for (let j = 0; j < inner; j++) {
        out[start + j] = Math.min(255, Math.max(0, Math.floor(sums[j] / PLACES)));
      }
    }
  }
  return out;
}
