import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import { forgetWinners } from "../../sdk/host/mod.ts";
import {
  adapterKey,
  candidatesOf,
  choiceOf,
  collectProducts,
  guess,
  measuredOn,
  type ProductChoice,
  shapeClass,
  withChoice,
} from "../../sdk/ops/matmul/choice.ts";
import { linear, matmul, probeProducts, type Product } from "../../sdk/ops/mod.ts";
import { Tensor, withTracer } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { onAdapter } from "./on_adapter.ts";

const PRODUCT: Product = { operator: "linear", dtype: "f32", rows: 20, columns: 40, depth: 30 };

function forget(): Map<string, ProductChoice> {
  const measured = measuredOn(gpu());
  measured.clear();
  forgetWinners();
  return measured;
}

describe("choices for products", () => {
  gpuForFile();

  const chosen = (software: boolean, product: Product) =>
    onAdapter(software, () => Promise.resolve(choiceOf(product)));

  it("are guessed by the kind of adapter until something is measured", async () => {
    const measured = forget();
    assertEquals(await chosen(true, PRODUCT), "block 16x16");
    assertEquals(await chosen(true, { ...PRODUCT, rows: 1 }), "block 1x4");
    assertEquals(await chosen(true, { ...PRODUCT, rows: 1, operator: "matmul", dtype: "f16" }), "block 1x8");
    assertEquals(await chosen(false, PRODUCT), "tile");
    assertEquals(await chosen(false, { ...PRODUCT, columns: 8 }), "block 8x8");
    assertEquals(await chosen(false, { ...PRODUCT, rows: 1 }), "block 1x4");
    measured.set(shapeClass(PRODUCT), "block 4x4");
    for (const software of [true, false]) {
      assertEquals(await chosen(software, { ...PRODUCT, rows: 21 }), "block 4x4");
    }
    assertEquals(await chosen(true, { ...PRODUCT, rows: 300 }), "block 16x16");
    forget();
  });

  it("are what an operator runs", async () => {
    const measured = forget();
    using x = Tensor.from(new Float32Array(20 * 30).fill(1), { shape: [20, 30] });
    using w = Tensor.from(new Float32Array(40 * 30).fill(1), { shape: [40, 30] });
    measured.set(shapeClass(PRODUCT), "tile");
    const before = gpu().pipelines.size;
    linear(x, w).dispose();
    assertEquals(gpu().pipelines.size, before + 1);
    withChoice("tile", () => linear(x, w)).dispose();
    assertEquals(gpu().pipelines.size, before + 1, "the tile's pipeline is the one that was made");
    await gpu().sync();
    forget();
  });

  it("are collected from a forward", () => {
    const found = collectProducts(() => {
      const [a, b] = [[3, 4], [4, 5]].map((shape) => Tensor.zeros(shape));
      matmul(a, b).dispose();
      for (const t of [a, b]) t.dispose();
    });
    assertEquals(found, [{ operator: "matmul", dtype: "f32", rows: 3, columns: 5, depth: 4 }]);
  });
});

describe("probeProducts()", () => {
  gpuForFile();

  it("measures a class once, and keeps what it found in a file", async () => {
    const cache = `${await Deno.makeTempDir()}/deep/winners.json`;
    const measured = forget();
    const options = { products: [PRODUCT, { ...PRODUCT, rows: 30 }], cache };
    const before = memory().tensors;
    const found = await probeProducts({ ...options, again: true });
    assertEquals(found.length, 1, "both are of one class");
    const [{ choice, ms }] = found;
    assertEquals(Object.keys(ms!), [...candidatesOf(PRODUCT)]);
    const usual = ms![guess(PRODUCT)]!;
    const least = Math.min(...Object.values(ms!) as number[]);
    assert(ms![choice] === least || choice === guess(PRODUCT) && least > 0.96 * usual, JSON.stringify(ms));
    assertEquals(measured.get(shapeClass(PRODUCT)), choice);
    assertEquals(memory().tensors, before);

    const known = [{ shape: shapeClass(PRODUCT), choice }];
    assertEquals(await probeProducts(options), known);

    const readAgain = () => {
      forget(); // as another process would begin
      return probeProducts({ ...options, budgetMs: -1 });
    };
    assertEquals(await readAgain(), known);
    const text = await Deno.readTextFile(cache);
    const [entry] = JSON.parse(text).entries;
    const digest = /[0-9a-f]{64}/.exec(entry.key)![0];
    for (
      const odd of [
        { ...entry, key: entry.key.replace(digest, "0".repeat(64)) },
        { ...entry, key: `another${entry.key}` },
        { ...entry, key: entry.key.replace("linear", "matmul") },
        { ...entry, constants: { ROWS: 0, COLUMNS: 4 } },
        { ...entry, constants: { ROWS: 16 } },
        { ...entry, ms: -1 },
      ]
    ) {
      await Deno.writeTextFile(cache, JSON.stringify({ ...JSON.parse(text), entries: [odd] }));
      assertEquals(await readAgain(), [], JSON.stringify(odd));
    }
    for (const damaged of ['{"format', "null"]) {
      await Deno.writeTextFile(cache, damaged);
      assertEquals(await readAgain(), [], damaged);
    }
    await Deno.remove(cache.replace("/deep/winners.json", ""), { recursive: true });
    forget();
  });

  it("does without a file that cannot be written", async () => {
    const file = await Deno.makeTempFile();
    const measured = forget();
    await probeProducts({ products: [PRODUCT], again: true, cache: `${file}/below.json` });
    assert(measured.has(shapeClass(PRODUCT)));
    await Deno.remove(file);
    forget();
  });

  it("measures nothing after its budget, nor inside of a trace or an operator", async () => {
    const measured = forget();
    assertEquals(await probeProducts({ products: [PRODUCT], cache: false, budgetMs: -1 }), []);
    await assertRejects(
      () => withTracer({ op: () => {} }, () => probeProducts({ products: [PRODUCT] })),
      KernelwrightError,
      "Cannot probe while a forward is traced",
    );
    using x = Tensor.zeros([20, 30]);
    using w = Tensor.zeros([40, 30]);
    linear(x, w).dispose();
    assertEquals(measured.size, 0);
  });

  it("names an adapter by all that it says of itself", () => {
    const info = { vendor: "a", architecture: "", device: "b", description: "driver 1", software: false };
    assertEquals(adapterKey(info), "a b driver 1");
  });

  it("keeps to the guess where the clock is too coarse to tell", async () => {
    forget();
    const { features } = gpu();
    const real = performance.now;
    Object.defineProperty(gpu(), "features", { value: new Set(), configurable: true }); // no timestamps
    performance.now = () => Math.floor(real.call(performance) / 1e6) * 1e6;
    try {
      const [{ choice, ms }] = await probeProducts({ again: true, cache: false, products: [PRODUCT] });
      assertEquals(Object.keys(ms!).length, candidatesOf(PRODUCT).length);
      assertEquals(choice, guess(PRODUCT));
    } finally {
      performance.now = real;
      Object.defineProperty(gpu(), "features", { value: features, configurable: true });
      forget();
    }
  });
});
