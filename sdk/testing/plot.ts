import { largestOf, leastOf } from "../extremes.ts";

/** What to draw. */
export interface Plot {
  /** The text on top. */
  readonly title: string;
  /** The texts below, one for each point. */
  readonly labels: readonly string[];
  /** The lines; all values are positive. */
  readonly lines: readonly { readonly name: string; readonly values: readonly number[] }[];
}

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [720, 400, 70, 60, 50];
const COLORS = ["#0b6e4f", "#c84630", "#3a5a98", "#8d6a9f", "#b08900"];

/** Lines over labelled points, on a logarithmic scale, as SVG. */
export function drawPlot({ title, labels, lines }: Plot): string {
  const values = lines.flatMap((l) => l.values).filter((v) => v > 0);
  const low = Math.floor(Math.log10(leastOf(values, 1)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(largestOf(values, 0.1))));
  const x = (i: number) => LEFT + (i + 0.5) * (WIDTH - LEFT - 20) / labels.length;
  const y = (v: number) => HEIGHT - BOTTOM - (Math.log10(v) - low) / (high - low) * (HEIGHT - BOTTOM - TOP);
  const text = (at: number, down: number, words: string, more = "") =>
    `<text x="${at.toFixed(1)}" y="${down.toFixed(1)}" ${more}>${escape(words)}</text>`;
  const grid = Array.from({ length: high - low + 1 }, (_, i) => low + i).map((p) => {
    const at = y(10 ** p).toFixed(1);
    return `<line x1="${LEFT}" x2="${WIDTH - 20}" y1="${at}" y2="${at}" stroke="#ddd"/>` +
      text(LEFT - 8, Number(at) + 4, `${10 ** p}`.slice(0, 8), 'text-anchor="end"');
  });
  const drawn = lines.map((line, n) => {
    const color = COLORS[n % COLORS.length];
    const points = line.values.map((v, i) => `${x(i).toFixed(1)},${y(Math.max(v, 10 ** low)).toFixed(1)}`);
    const dots = points.map((p) =>
      `<circle cx="${p.split(",")[0]}" cy="${p.split(",")[1]}" r="3.5" fill="${color}"/>`
    );
    return `<polyline points="${points.join(" ")}" fill="none" stroke="${color}" stroke-width="2"/>${
      dots.join("")
    }` +
      text(LEFT + 10 + n * 150, TOP - 8, line.name, `fill="${color}" font-weight="bold"`);
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(LEFT, 20, title, 'font-size="14"'),
    ...grid,
    ...labels.map((l, i) => text(x(i), HEIGHT - BOTTOM + 20, l, 'text-anchor="middle"')),
    ...drawn,
    "</svg>",
    "",
  ].join("\n");
}

function escape(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
