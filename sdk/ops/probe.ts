/**
 * Measures both families of products on the opened adapter, for a shape of each class, and remembers which is faster:
 * for the rest of the process, and in a folder if one is given. Never by itself: a forward only looks up what is known.
 */
import { raise } from "../errors.ts";
import { builtin } from "../host.ts";
import { currentGpu, gpuTime } from "../gpu/mod.ts";
import { currentTracer, type DType, scope, Tensor } from "../tensor/mod.ts";
import { adapterKey, type Family, type Product, rememberedOn, shapeClass, withFamily } from "./families.ts";
import { linear } from "./linear.ts";
import { matmul } from "./matmul.ts";

/** What {@linkcode probeProducts} may be told. */
export interface ProbeOptions {
  /** What to measure: one product for each class; a square, a tall and a wide one of each operator and dtype unless told. */
  readonly products?: readonly Product[];
  /** A folder in which results are kept between processes, where there is a file system. */
  readonly folder?: string;
  /** Whether to measure what is known already. */
  readonly again?: boolean;
}

/** What was found for a class of products. */
export interface Probed {
  /** The class. */
  readonly shape: string;
  /** The faster family. */
  readonly family: Family;
  /** Milliseconds of each, the best of three; none where the result was known. */
  readonly ms?: Readonly<Record<Family, number>>;
}

/**
 * Measures the families of `linear` and `matmul`, about 0.2 seconds for each class that is not known. From then on
 * the faster one runs. Plans that were captured before keep what they have.
 *
 * @throws KW-GPU-NONE; KW-TENSOR-META inside of a trace, where nothing runs.
 */
export async function probeProducts(options: ProbeOptions = {}): Promise<Probed[]> {
  const gpu = currentGpu();
  if (currentTracer()) {
    raise("KW-TENSOR-META", "Cannot probe while a forward is traced: nothing runs there", "Probe before it.");
  }
  const adapter = adapterKey(gpu.info);
  const known = rememberedOn(adapter);
  if (options.folder) { for (const [k, f] of await readFolder(options.folder, adapter)) known.set(k, f); }
  const found: Probed[] = [];
  for (const product of options.products ?? usualProducts(gpu.features.has("shader-f16"))) {
    const shape = shapeClass(product);
    const before = known.get(shape);
    if (before && !options.again) {
      found.push({ shape, family: before });
      continue;
    }
    const ms = await race(product);
    const family = ms.tile < ms.block ? "tile" : "block";
    known.set(shape, family);
    found.push({ shape, family, ms });
  }
  if (options.folder) await writeFolder(options.folder, adapter, known);
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

async function race({ operator, dtype, rows, columns, depth }: Product): Promise<Record<Family, number>> {
  using a = Tensor.zeros([rows, depth], { dtype });
  using b = Tensor.zeros(operator === "linear" ? [columns, depth] : [depth, columns], { dtype });
  const run = (family: Family) =>
    scope(() => void withFamily(family, () => operator === "linear" ? linear(a, b) : matmul(a, b)));
  const ms = { block: Infinity, tile: Infinity };
  for (let round = 0; round < 4; round++) {
    for (const family of ["block", "tile"] as const) {
      const time = await timeOf(() => run(family));
      if (round > 0) ms[family] = Math.min(ms[family], time); // the first one compiles
    }
  }
  return ms;
}

async function timeOf(run: () => void): Promise<number> {
  const gpu = currentGpu();
  await gpu.sync();
  const began = performance.now();
  const time = await gpuTime(run);
  if (time !== undefined) return time;
  await gpu.sync();
  return performance.now() - began;
}

/** The file of an adapter: its name, with what file systems do not like replaced. */
function fileName(adapter: string): string {
  return `products-${adapter.replace(/[^\w.-]+/g, "_").slice(0, 100)}.json`;
}

async function readFolder(folder: string, adapter: string): Promise<[string, Family][]> {
  try {
    const stored: unknown = JSON.parse(
      await builtin("node:fs/promises")!.readFile(`${folder}/${fileName(adapter)}`, "utf8"),
    );
    return Object.entries(stored ?? {}).filter(([, f]) => f === "block" || f === "tile");
  } catch {
    return []; // none yet, none readable, or no file system: it is measured anew
  }
}

async function writeFolder(
  folder: string,
  adapter: string,
  known: ReadonlyMap<string, Family>,
): Promise<void> {
  try {
    const { mkdir, rename, writeFile } = builtin("node:fs/promises")!;
    await mkdir(folder, { recursive: true });
    const file = `${folder}/${fileName(adapter)}`;
    // Whole or not at all: another process may read it meanwhile.
    const part = `${file}.${crypto.randomUUID()}`;
    await writeFile(part, JSON.stringify(Object.fromEntries(known), null, 2) + "\n");
    await rename(part, file);
  } catch {
    // No file system, or none that may be written: the process remembers.
  }
}
