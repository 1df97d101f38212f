import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import {
  adapterKey,
  candidatesOf,
  choiceOf,
  collectProducts,
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
  return measured;
}

describe("choices for products", () => {
  gpuForFile();

  const chosen = (software: boolean, product: Product) =>
    onAdapter(software, () => Promise.resolve(choiceOf(product)));

  it("are known of software adapters, and guessed elsewhere until something is measured", async () => {
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

  it("measures a class once, and keeps what it found in a folder", async () => {
    const folder = `${await Deno.makeTempDir()}/cache`;
    const measured = forget();
    const options = { products: [PRODUCT, { ...PRODUCT, rows: 30 }], folder };
    const before = memory().tensors;
    const found = await probeProducts({ ...options, again: true });
    assertEquals(found.length, 1, "both are of one class");
    const [{ choice, ms }] = found;
    assertEquals(Object.keys(ms!), [...candidatesOf(PRODUCT)]);
    assertEquals(ms![choice], Math.min(...Object.values(ms!) as number[]));
    assertEquals(measured.get(shapeClass(PRODUCT)), choice);
    assertEquals(memory().tensors, before);

    const known = [{ shape: shapeClass(PRODUCT), choice }];
    assertEquals(await probeProducts(options), known);

    await onAdapter(false, async () => { // nothing is known there beforehand
      const [file] = [...Deno.readDirSync(folder)];
      const path = `${folder}/${file.name}`;
      const text = await Deno.readTextFile(path);
      const readAgain = () => {
        measured.clear(); // as another process would begin
        return probeProducts({ ...options, budgetMs: -1 });
      };
      assertEquals(await readAgain(), known);
      const stored = JSON.parse(text);
      for (
        const damaged of [
          '{"format',
          "null",
          JSON.stringify({ ...stored, shaders: "others" }),
          JSON.stringify({ ...stored, adapter: "another" }),
          JSON.stringify({
            ...stored,
            choices: { ...stored.choices, "linear f32 1 x <256 x <256": "block 0x4" },
          }),
        ]
      ) {
        await Deno.writeTextFile(path, damaged);
        assertEquals(await readAgain(), [], damaged);
      }
      measured.set(shapeClass(PRODUCT), "block 4x4");
    });
    await Deno.remove(folder, { recursive: true });
    forget();
  });

  it("does without a folder that cannot be written", async () => {
    const file = await Deno.makeTempFile();
    const measured = forget();
    await probeProducts({ products: [PRODUCT], again: true, folder: `${file}/below` });
    assert(measured.has(shapeClass(PRODUCT)));
    await Deno.remove(file);
    forget();
  });

  it("measures nothing that is known, nor after its budget, nor inside of a trace or an operator", async () => {
    const measured = forget();
    assertEquals(await onAdapter(true, () => probeProducts({ products: [PRODUCT], folder: false })), [
      { shape: shapeClass(PRODUCT), choice: "block 16x16" },
    ]);
    const late = { products: [PRODUCT], folder: false, budgetMs: -1 } as const;
    assertEquals(await onAdapter(false, () => probeProducts(late)), []);
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

  it("measures for longer where the clock is coarse, and finds nobody slow by it", async () => {
    forget();
    const { features } = gpu();
    const real = performance.now;
    Object.defineProperty(gpu(), "features", { value: new Set(), configurable: true }); // no timestamps
    performance.now = () => Math.floor(real.call(performance) / 1e6) * 1e6;
    const before = gpu().stream.dispatches;
    try {
      const [{ ms }] = await probeProducts({ again: true, folder: false, products: [PRODUCT] });
      const tried = candidatesOf(PRODUCT).length;
      assertEquals(Object.keys(ms!).length, tried);
      // Two rounds of one, and two of the most: none was found slow by a clock that tells nothing.
      assertEquals(gpu().stream.dispatches - before, tried * (1 + 1 + 64 + 64));
    } finally {
      performance.now = real;
      Object.defineProperty(gpu(), "features", { value: features, configurable: true });
      forget();
    }
  });
});
