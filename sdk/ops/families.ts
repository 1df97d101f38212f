/**
 * Which family of shaders multiplies matrices: blocks in registers, or tiles in workgroup memory.
 *
 * What a probe measured on this adapter wins (`probe.ts`); until then the adapter's kind decides. On llvmpipe a
 * block of matmul takes 0.15 to 0.45 of the time of 4×4 outputs with scalar loads (512³ 0.21, 64×1408×512 0.17,
 * 250×330×133 0.45), and tiles 6 to 100 times as long as blocks. A real GPU wants them where there are rows enough to
 * fill one.
 */
import { type AdapterInfo, gpuIfOpen } from "../gpu/mod.ts";
import type { DType } from "../tensor/mod.ts";
import { onSoftware } from "./choose.ts";

/** `block`: registers, no barrier. `tile`: workgroup memory. */
export type Family = "block" | "tile";

/** A product of matrices, as far as the choice looks at it. */
export interface Product {
  /** The operator. */
  readonly operator: "matmul" | "linear";
  /** The dtype. */
  readonly dtype: DType;
  /** Rows of the result. */
  readonly rows: number;
  /** Columns of the result. */
  readonly columns: number;
  /** What is summed over. */
  readonly depth: number;
}

/** The family that runs. */
export function familyOf(product: Product): Family {
  if (forced) return forced;
  const gpu = gpuIfOpen();
  const measured = gpu && remembered.get(adapterKey(gpu.info))?.get(shapeClass(product));
  if (measured) return measured;
  return !onSoftware() && Math.min(product.rows, product.columns) >= 16 ? "tile" : "block";
}

/** Products that are chosen for alike: operator, dtype, and each size by its magnitude. */
export function shapeClass({ operator, dtype, rows, columns, depth }: Product): string {
  const height = rows < 2 ? "1" : rows < 16 ? "2-15" : rows < 128 ? "16-127" : "128+";
  const size = (n: number) => n < 256 ? "<256" : n < 1024 ? "256-1023" : "1024+";
  return `${operator} ${dtype} ${height} x ${size(columns)} x ${size(depth)}`;
}

/** One name for an adapter. */
export function adapterKey({ vendor, architecture, device, description }: AdapterInfo): string {
  return [vendor, architecture, device, description].filter((s) => s).join(" ") || "unknown";
}

/** What was measured on an adapter, by shape class. */
export function rememberedOn(adapter: string): Map<string, Family> {
  let known = remembered.get(adapter);
  if (!known) remembered.set(adapter, known = new Map());
  return known;
}

/** Runs `fn` with one family at every shape: for probes and tests. */
export function withFamily<T>(family: Family, fn: () => T): T {
  const before = forced;
  forced = family;
  try {
    return fn();
  } finally {
    forced = before;
  }
}

// ---------------------------------------------------------------------------

const remembered = new Map<string, Map<string, Family>>();
let forced: Family | undefined;
