/**
 * Measures on the opened adapter how each class of products runs fastest, and remembers it: for the rest of the
 * process, and in the user's cache. `model.ready()` asks for what a model needs; a forward only looks up what is known.
 */
import { leastOf } from "../../extremes.ts";
import { checkArgument, checkFields, refuseArgument } from "../../arguments.ts";
import { raise } from "../../errors.ts";
import { clearlyFaster, currentGpu, type OpenedGpu, race } from "../../gpu/mod.ts";
import { type Winner, Winners, type WinnersLocation } from "../../host/mod.ts";
import { currentTracer, type DType, scope, Tensor } from "../../tensor/mod.ts";
import { onSoftware } from "../dispatch/adapter.ts";
import { FLOATS } from "../operator.ts";
import { TILE_CODE } from "./block.ts";
import {
  adapterKey,
  candidatesOf,
  guess,
  measuredOn,
  type Product,
  type ProductChoice,
  shapeClass,
  withChoice,
} from "./choice.ts";
import { linear } from "./linear.ts";
import { linearCode } from "./linear_code.ts";
import { matmul } from "./matmul.ts";
import { matmulCode } from "./matmul_code.ts";

/** Options of {@linkcode probeProducts}. */
export interface ProbeOptions {
  /** What to measure: one product for each class. Defaults to a square, a tall and a wide one of each operator and dtype. */
  readonly products?: readonly Product[];
  /** The file that winners are kept in; `false` for memory only. Defaults to the user's cache. */
  readonly cache?: WinnersLocation;
  /** Whether to measure what is known already. */
  readonly again?: boolean;
  /** Milliseconds after which no further class is begun. Defaults to 10,000. */
  readonly budgetMs?: number;
}

/** What was found for a class of products. */
export interface Probed {
  /** The class. */
  readonly shape: string;
  /** What is fastest. */
  readonly choice: ProductChoice;
  /** Milliseconds of each candidate, the median; none where the result was known. */
  readonly ms?: Readonly<Partial<Record<ProductChoice, number>>>;
}

/**
 * Measures what `linear` and `matmul` may run as, for each class that is not known. From then on the fastest runs.
 * Plans that were captured before keep what they have.
 *
 * @returns One result for each class that is known now.
 * @throws KW-GPU-NONE; KW-TENSOR-META inside of a trace, where nothing runs.
 *
 * @example
 * ```ts
 * import { openGpu } from "@kernelwright/sdk";
 * import { probeProducts } from "@kernelwright/sdk/ops";
 *
 * await openGpu();
 * const products = [{ operator: "linear", dtype: "f32", rows: 1, columns: 64, depth: 64 }] as const;
 * for (const { shape, choice } of await probeProducts({ products, cache: false })) console.log(shape, choice);
 * ```
 */
export async function probeProducts(options: ProbeOptions = {}): Promise<Probed[]> {
  checkArgument("probeProducts(): options", options, "an object");
  const { again, budgetMs = 10_000, products } = options;
  checkArgument("probeProducts(): options.budgetMs", budgetMs, "a number");
  if (products !== undefined) {
    checkArgument("probeProducts(): options.products", products, "objects in an array");
    for (const p of products) {
      checkFields("probeProducts(): a product", p, { rows: "a count", columns: "a count", depth: "a count" });
      if (p.operator !== "linear" && p.operator !== "matmul") {
        refuseArgument("probeProducts(): a product's operator", p.operator, '"linear" or "matmul"');
      }
      if (!FLOATS.includes(p.dtype)) {
        refuseArgument("probeProducts(): a product's dtype", p.dtype, FLOATS.join(" or "));
      }
    }
  }
  const gpu = currentGpu();
  if (currentTracer()) {
    raise("KW-TENSOR-META", "Cannot probe while a forward is traced: nothing runs there", "Probe before it.");
  }
  const wanted = largestOfClasses(products ?? usualProducts(gpu.features.has("shader-f16")));
  const measured = measuredOn(gpu);
  const winners = await Winners.open(options.cache);
  const digest = await shaderDigest();
  const found: Probed[] = [];
  const began = performance.now();
  for (const product of wanted) {
    const shape = shapeClass(product);
    const key = [adapterKey(gpu.info), product.operator, digest, shape].join(" | ");
    const known = measured.get(shape) ?? choiceIn(winners.get(key), candidatesOf(product));
    if (known && !again) {
      measured.set(shape, known);
      found.push({ shape, choice: known });
      continue;
    }
    if (performance.now() - began > budgetMs) continue;
    const { choice, ms, winner } = await fastest(gpu, product);
    measured.set(shape, choice);
    winners.set(key, winner);
    found.push({ shape, choice, ms });
  }
  await winners.save();
  return found;
}

// ---------------------------------------------------------------------------

function usualProducts(half: boolean): Product[] {
  const dtypes: DType[] = half ? ["f32", "f16"] : ["f32"];
  const sizes = [[1, 1024, 1024], [8, 1024, 1024], [64, 512, 512], [64, 1024, 1024], [256, 1024, 1024]];
  return (["linear", "matmul"] as const).flatMap((operator) =>
    dtypes.flatMap((dtype) =>
      sizes.map(([rows, columns, depth]) => ({ operator, dtype, rows, columns, depth }))
    )
  );
}

/** One product for each class: the largest, but none larger than it takes to tell candidates apart. */
function largestOfClasses(products: readonly Product[]): Product[] {
  const largest = new Map<string, Product>();
  const [mostRows, most] = onSoftware() ? [128, 1024] : [256, 4096];
  for (const p of products) {
    const cut = {
      ...p,
      rows: Math.min(p.rows, mostRows),
      columns: Math.min(p.columns, most),
      depth: Math.min(p.depth, most),
    };
    const before = largest.get(shapeClass(cut));
    if (!before || sizeOf(before) < sizeOf(cut)) largest.set(shapeClass(cut), cut);
  }
  return [...largest.values()].filter((p) => sizeOf(p) > 0);
}

function sizeOf({ rows, columns, depth }: Product): number {
  return rows * columns * depth;
}

/** Candidates this many times as slow as the fastest are not run again. */
const HOPELESS = 3;

async function fastest(
  gpu: OpenedGpu,
  product: Product,
): Promise<{ choice: ProductChoice; ms: Partial<Record<ProductChoice, number>>; winner: Winner }> {
  const { operator, dtype, rows, columns, depth } = product;
  using a = Tensor.zeros([rows, depth], { dtype });
  using b = Tensor.zeros(operator === "linear" ? [columns, depth] : [depth, columns], { dtype });
  const run = operator === "linear" ? linear : matmul;
  const candidates = candidatesOf(product);
  const sides = candidates.map((choice) => () => scope(() => void withChoice(choice, () => run(a, b))));
  // Trains of a millisecond: pages round what clocks say.
  const times = (await race(gpu, sides, { rounds: 4, train: 1, hopeless: HOPELESS })).map((t) => t.median);
  const usual = candidates.indexOf(guess(product));
  const least = times.indexOf(leastOf(times));
  const best = usual < 0 || clearlyFaster(times[least], times[usual]) ? least : usual;
  return {
    choice: candidates[best],
    ms: Object.fromEntries(candidates.map((c, i) => [c, times[i]])),
    winner: {
      constants: constantsOf(candidates[best]),
      ms: times[best],
      defaultMs: times[usual < 0 ? best : usual],
    },
  };
}

/** A choice as the constants that the file of winners holds; a tile has none. */
function constantsOf(choice: ProductChoice): Record<string, number> {
  const size = /(\d+)x(\d+)/.exec(choice);
  return size ? { ROWS: Number(size[1]), COLUMNS: Number(size[2]) } : {};
}

/** The candidate that a winner names, if it is one: a file may say anything. */
function choiceIn(
  winner: Winner | undefined,
  candidates: readonly ProductChoice[],
): ProductChoice | undefined {
  if (!winner) return undefined;
  const { ROWS, COLUMNS } = winner.constants;
  const named = ROWS === undefined && COLUMNS === undefined ? "tile" : `block ${ROWS}x${COLUMNS}`;
  return candidates.find((c) => c === named);
}

let digest: Promise<string> | undefined;

/** Of the code that all choices run: one block of each stands for the others, which the same text makes. */
function shaderDigest(): Promise<string> {
  return digest ??= (async () => {
    const code = [linearCode(8, 8, 4), matmulCode({ rows: 8, vectors: 2, widthA: 4, widthB: 4 }), TILE_CODE];
    const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(code.join("\0")));
    return new Uint8Array(bytes).toHex();
  })();
}
