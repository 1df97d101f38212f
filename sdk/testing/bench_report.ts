import { visibleLine } from "../visible.ts";
import { drawTable } from "../kernelize/mod.ts";
import type { DType } from "../tensor/mod.ts";
import type { Dims } from "./options.ts";
import { drawPlot } from "./plot.ts";
import type { Roof } from "./roof.ts";
import type { Timing } from "./timing.ts";

/** One shape of a bench. */
export interface BenchRow {
  /** The sizes. */
  readonly dims: Dims;
  /** The element type. */
  readonly dtype: DType;
  /** Bytes that must move: every input, parameter and result once, or what the author declared. */
  readonly bytes: number;
  /** Floating-point operations, where the author declared them. */
  readonly flops?: number;
  /** The kernel first, then the original, then the others. */
  readonly timings: readonly Timing[];
}

/**
 * What a bench measured: prints as a table, serialises as JSON, and draws itself.
 *
 * See the example of {@linkcode benchKernel}.
 */
export class BenchReport {
  /** The kernel's name. */
  readonly kernel: string;
  /** The adapter. */
  readonly adapter: string;
  /** The adapter's measured roof. */
  readonly roof: Roof;
  /** The shapes. */
  readonly rows: readonly BenchRow[];

  /** Wraps what was measured. */
  constructor(kernel: string, adapter: string, roof: Roof, rows: readonly BenchRow[]) {
    this.kernel = kernel;
    this.adapter = adapter;
    this.roof = roof;
    this.rows = rows;
  }

  /** How many times faster than the original the kernel is, by row. */
  get speedups(): number[] {
    return this.rows.map(({ timings: [kernel, original] }) => original.median / kernel.median);
  }

  /** The share of the roof that a row's side reaches: 1 would be all that memory and arithmetic allow. */
  shareOfRoof(row: BenchRow, timing: Timing): number {
    const least = Math.max(row.bytes / this.roof.copy, (row.flops ?? 0) / this.roof.fma) / 1e6;
    return least / timing.median;
  }

  /** The table. */
  toString(): string {
    const rows = this.rows.flatMap((row) =>
      row.timings.map((t, i) => [
        i === 0 ? `${row.dtype} ${Object.entries(row.dims).map(([k, v]) => `${k}=${v}`).join(" ")}` : "",
        t.name,
        `${t.median.toPrecision(3)} ms`,
        t.gpu === undefined ? "–" : `${t.gpu.toPrecision(3)} ms`,
        `${(row.bytes / t.median / 1e6).toPrecision(3)} GB/s`,
        row.flops === undefined ? "" : `${(row.flops / t.median / 1e6).toPrecision(3)} GFLOP/s`,
        `${(100 * this.shareOfRoof(row, t)).toFixed(0)} %`,
        i === 0 ? "" : `${(t.median / row.timings[0].median).toFixed(2)}×`,
      ])
    );
    const head = [
      "shape",
      "",
      "median",
      "on the GPU",
      "memory",
      "arithmetic",
      "of roof",
      "of the kernel's time",
    ];
    return [
      visibleLine(
        `${this.kernel} on ${this.adapter}; roof: copy ${this.roof.copy.toPrecision(3)} GB/s, multiply-add ${
          this.roof.fma.toPrecision(3)
        } GFLOP/s`,
      ),
      drawTable([head, ...rows]),
    ].join("\n");
  }

  /** Everything as plain data. */
  toJSON(): Record<string, unknown> {
    return {
      kernel: this.kernel,
      adapter: this.adapter,
      roof: this.roof,
      rows: this.rows.map((row) => ({
        ...row,
        timings: row.timings.map((t) => ({ ...t, shareOfRoof: this.shareOfRoof(row, t) })),
      })),
    };
  }

  /** Milliseconds over shapes as SVG, one line for each side. */
  toSVG(): string {
    const labels = this.rows.map((r) => Object.values(r.dims).join("×"));
    const names = this.rows[0]?.timings.map((t) => t.name) ?? [];
    return drawPlot({
      title: `${this.kernel}, milliseconds a call on ${this.adapter}`,
      labels,
      lines: names.map((name, i) => ({ name, values: this.rows.map((r) => r.timings[i].median) })),
    });
  }
}
