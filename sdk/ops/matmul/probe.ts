/**
 * Measures on the opened adapter how each class of products runs fastest, and remembers it: for the rest of the
 * process, and in the user's cache. `model.ready()` asks for what a model needs; a forward only looks up what is known.
 */
import { leastOf } from "../../extremes.ts";
import { checkArgument } from "../../arguments.ts";
import { raise } from "../../errors.ts";
import { currentGpu, gpuTime } from "../../gpu/mod.ts";
import { currentTracer, type DType, scope, Tensor } from "../../tensor/mod.ts";
import {
  adapterKey,
  candidatesOf,
  knownChoice,
  measuredOn,
  type Product,
  type ProductChoice,
  shapeClass,
  withChoice,
} from "./choice.ts";
import { linear } from "./linear.ts";
import { matmul } from "./matmul.ts";
import { type ProductCacheFolder, readChoices, writeChoices } from "./remembered.ts";

/** What {@linkcode probeProducts} may be told. */
export interface ProbeOptions {
  /** What to measure: one product for each class; a square, a tall and a wide one of each operator and dtype unless told. */
  readonly products?: readonly Product[];
  /** A folder in which results are kept between processes, or false for none; the user's cache unless told. */
  readonly folder?: ProductCacheFolder;
  /** Whether to measure what is known already. */
  readonly again?: boolean;
  /** Milliseconds after which no further class is begun; 10,000 unless told. */
  readonly budgetMs?: number;
}

/** What was found for a class of products. */
export interface Probed {
  /** The class. */
  readonly shape: string;
  /** What is fastest. */
  readonly choice: ProductChoice;
  /** Milliseconds of each candidate, the best of three; none where the result was known. */
  readonly ms?: Readonly<Partial<Record<ProductChoice, number>>>;
}

/**
 * Measures what `linear` and `matmul` may run as, for each class that is not known. From then on the fastest runs.
 * Plans that were captured before keep what they have.
 *
 * @returns One result for each class that is known now.
 * @throws KW-GPU-NONE; KW-TENSOR-META inside of a trace, where nothing runs.
 */
export async function probeProducts(options: ProbeOptions = {}): Promise<Probed[]> {
  checkArgument("probeProducts(): options", options, "an object");
  const gpu = currentGpu();
  if (currentTracer()) {
    raise("KW-TENSOR-META", "Cannot probe while a forward is traced: nothing runs there", "Probe before it.");
  }
  const { folder, again, budgetMs = 10_000 } = options;
  const wanted = largestOfClasses(options.products ?? usualProducts(gpu.features.has("shader-f16")));
  const adapter = adapterKey(gpu.info);
  const measured = measuredOn(gpu);
  for (const [shape, choice] of await readChoices(adapter, folder)) {
    if (!measured.has(shape)) measured.set(shape, choice);
  }
  const found: Probed[] = [];
  const began = performance.now();
  let added = false;
  for (const product of wanted) {
    const shape = shapeClass(product);
    const known = knownChoice(product);
    if (known && !again) {
      found.push({ shape, choice: known });
      continue;
    }
    if (performance.now() - began > budgetMs) continue;
    const ms = await race(product);
    const choice = candidatesOf(product).reduce((a, b) => ms[b]! < ms[a]! ? b : a);
    measured.set(shape, choice);
    added = true;
    found.push({ shape, choice, ms });
  }
  if (added) await writeChoices(adapter, measured, folder);
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

/** One product for each class: the largest, but none larger than what its class begins to be chosen for. */
function largestOfClasses(products: readonly Product[]): Product[] {
  const largest = new Map<string, Product>();
  for (const p of products) {
    const cut = {
      ...p,
      rows: Math.min(p.rows, 256),
      columns: Math.min(p.columns, 4096),
      depth: Math.min(p.depth, 4096),
    };
    const before = largest.get(shapeClass(cut));
    if (!before || sizeOf(before) < sizeOf(cut)) largest.set(shapeClass(cut), cut);
  }
  return [...largest.values()].filter((p) => sizeOf(p) > 0);
}

function sizeOf({ rows, columns, depth }: Product): number {
  return rows * columns * depth;
}

async function race(product: Product): Promise<Partial<Record<ProductChoice, number>>> {
  const { operator, dtype, rows, columns, depth } = product;
  using a = Tensor.zeros([rows, depth], { dtype });
  using b = Tensor.zeros(operator === "linear" ? [columns, depth] : [depth, columns], { dtype });
  const run = (choice: ProductChoice, times: number) => {
    for (let i = 0; i < times; i++) {
      scope(() => void withChoice(choice, () => operator === "linear" ? linear(a, b) : matmul(a, b)));
    }
  };
  const ms: Partial<Record<ProductChoice, number>> = {};
  let times = 1;
  let candidates = candidatesOf(product);
  for (let round = 0; round < 4; round++) {
    for (const choice of candidates) {
      const time = await timeOf(() => run(choice, times)) / times;
      if (round > 0) ms[choice] = Math.min(ms[choice] ?? Infinity, time); // the first one compiles
    }
    if (round !== 1) continue;
    const least = leastOf(candidates.map((c) => ms[c]!));
    candidates = candidates.filter((c) => ms[c]! <= 3 * least); // the others are out; by a coarse clock, none
    for (const c of candidates) ms[c] = Infinity; // what follows is longer, and tells them apart
    times = Math.max(1, Math.min(64, Math.ceil(1 / least))); // a millisecond: pages round what clocks say
  }
  return ms;
}

async function timeOf(run: () => void): Promise<number> {
  const gpu = currentGpu();
  await gpu.idle();
  const began = performance.now();
  const time = await gpuTime(run);
  if (time !== undefined) return time;
  await gpu.idle();
  return performance.now() - began;
}
