/**
 * How products of matrices run: in blocks of registers, of several sizes, or in tiles of workgroup memory.
 *
 *   linear f32 [16,512] · [1408,512]ᵀ ─► class "linear f32 16-127 x 1024+ x 256-1023" ─► "block 16x16"
 *
 * What was measured on this adapter is taken (`probe.ts`, which `model.ready()` asks); until then, a guess.
 */
import { checkArgument, checkFields } from "../../arguments.ts";
import { ambient } from "../../ambient.ts";
import { type AdapterInfo, type Gpu, gpuIfOpen } from "../../gpu/mod.ts";
import type { DType } from "../../tensor/mod.ts";
import { onSoftware } from "../dispatch/adapter.ts";

/** `tile`: workgroup memory. `block RxC`: registers, no barrier, up to so many rows and columns an invocation. */
export type ProductChoice = "tile" | `block ${number}x${number}`;

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

/** What may be chosen for a product. */
export function candidatesOf({ rows }: Product): readonly ProductChoice[] {
  const blocks: ProductChoice[] = rows < 2
    ? ["block 1x4", "block 1x8", "block 1x16"]
    : ["block 4x4", "block 8x8", "block 16x16"];
  // Barriers on a processor: tiles took 6 to 100 times as long as blocks there.
  return onSoftware() ? blocks : [...blocks, "tile"];
}

/** What runs. */
export function choiceOf(product: Product): ProductChoice {
  checkFields("choiceOf(): product", product, { rows: "a number" });
  collector.current?.push(product);
  if (forced.current) return forced.current;
  const gpu = gpuIfOpen();
  return gpu && measuredOn(gpu).get(shapeClass(product)) || guess(product);
}

/** What was measured with a device's adapter, by shape class. */
export function measuredOn(gpu: Gpu): Map<string, ProductChoice> {
  let own = ofDevice.get(gpu);
  if (!own) {
    const key = adapterKey(gpu.info);
    own = ofAdapter.get(key) ?? new Map<string, ProductChoice>();
    ofAdapter.set(key, own);
    ofDevice.set(gpu, own);
  }
  return own;
}

/** Products that are chosen for alike: operator, dtype, and each size by its magnitude. */
export function shapeClass({ operator, dtype, rows, columns, depth }: Product): string {
  const height = rows < 2 ? "1" : rows < 16 ? "2-15" : rows < 128 ? "16-127" : "128+";
  const size = (n: number) => n < 256 ? "<256" : n < 1024 ? "256-1023" : "1024+";
  return `${operator} ${dtype} ${height} x ${size(columns)} x ${size(depth)}`;
}

/** One name for an adapter and its driver. */
export function adapterKey({ vendor, architecture, device, description }: AdapterInfo): string {
  return [vendor, architecture, device, description].filter((s) => s).join(" ") || "unknown";
}

/** Runs `fn` with one choice for every product: for probes and tests. */
export function withChoice<T>(choice: ProductChoice, fn: () => T): T {
  return forced.run(choice, fn);
}

/** Whether {@linkcode withChoice} decides, so that nothing else may be run in its place. */
export function isForced(): boolean {
  return forced.current !== undefined;
}

/** The products that `fn` chooses for, one after the other. */
export function collectProducts(fn: () => void): Product[] {
  checkArgument("collectProducts(): fn", fn, "a function");
  const found: Product[] = [];
  collector.run(found, fn);
  return found;
}

// ---------------------------------------------------------------------------

const ofAdapter = new Map<string, Map<string, ProductChoice>>();
const ofDevice = new WeakMap<Gpu, Map<string, ProductChoice>>();
const forced = ambient<ProductChoice | undefined>(undefined);
const collector = ambient<Product[] | undefined>(undefined);

/**
 * What runs until something is measured. A real GPU wants tiles where there are rows enough to fill one; its registers
 * are few.
 *
 * On llvmpipe (GPU time by timestamps, interleaved), against 4×4 outputs with scalar loads, blocks of 16×16 take 0.15 to
 * 0.45 of the time (512³ 0.21, 64×1408×512 0.17, 250×330×133 0.45). A row of `linear` waits for its weights whatever its
 * block, and four columns leave the most invocations; a row of `matmul` jumps a page with each step of the depth and
 * should find 256 bytes there: 1×1024×1024 takes 0.15 of the plain product's time with 8 columns, 0.64 with 4.
 */
export function guess({ operator, rows, columns }: Product): ProductChoice {
  if (onSoftware()) return rows >= 2 ? "block 16x16" : operator === "linear" ? "block 1x4" : "block 1x8";
  if (rows < 2) return "block 1x4";
  return Math.min(rows, columns) >= 16 ? "tile" : "block 8x8";
}
