import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import { adapterKey, familyOf, rememberedOn, shapeClass } from "../../sdk/ops/families.ts";
import { linear, probeProducts, type Product } from "../../sdk/ops/mod.ts";
import { Tensor, withTracer } from "../../sdk/tensor/mod.ts";
import { gpu, gpuForFile } from "../helpers/gpu_for_file.ts";
import { onAdapter } from "./on_adapter.ts";

const PRODUCT: Product = { operator: "linear", dtype: "f32", rows: 20, columns: 40, depth: 30 };

function forget(): Map<string, "block" | "tile"> {
  const known = rememberedOn(adapterKey(gpu().info));
  known.clear();
  return known;
}

describe("families of products", () => {
  gpuForFile();

  it("are chosen by the adapter's kind until something is measured", async () => {
    const known = forget();
    assertEquals(await onAdapter(true, () => Promise.resolve(familyOf(PRODUCT))), "block");
    assertEquals(await onAdapter(false, () => Promise.resolve(familyOf(PRODUCT))), "tile");
    assertEquals(await onAdapter(false, () => Promise.resolve(familyOf({ ...PRODUCT, rows: 1 }))), "block");
    known.set(shapeClass(PRODUCT), "tile");
    assertEquals(await onAdapter(true, () => Promise.resolve(familyOf({ ...PRODUCT, rows: 21 }))), "tile");
    assertEquals(await onAdapter(true, () => Promise.resolve(familyOf({ ...PRODUCT, rows: 300 }))), "block");
    forget();
  });

  it("are measured once, and what is found is kept in a folder", async () => {
    const folder = `${await Deno.makeTempDir()}/cache`;
    const known = forget();
    const before = memory().tensors;
    const [first] = await probeProducts({ products: [PRODUCT], folder });
    assert(first.ms && first.ms.block > 0 && first.ms.tile > 0);
    assertEquals(first.family, first.ms.tile < first.ms.block ? "tile" : "block");
    assertEquals(memory().tensors, before);
    const [again] = await probeProducts({ products: [PRODUCT] });
    assertEquals(again, { shape: shapeClass(PRODUCT), family: first.family });

    known.clear(); // as another process would begin
    const [stored] = await probeProducts({ products: [PRODUCT], folder });
    assertEquals(stored, { shape: shapeClass(PRODUCT), family: first.family });

    known.clear();
    const [file] = [...Deno.readDirSync(folder)];
    await Deno.writeTextFile(`${folder}/${file.name}`, '{"linear');
    assert((await probeProducts({ products: [PRODUCT], folder }))[0].ms, "a broken file is measured anew");
    forget();
    await Deno.remove(folder, { recursive: true });
  });

  it("are not measured inside of a trace, nor by an operator", async () => {
    const known = forget();
    await assertRejects(
      () => withTracer({ op: () => {} }, () => probeProducts({ products: [PRODUCT] })),
      KernelwrightError,
      "Cannot probe while a forward is traced",
    );
    using x = Tensor.zeros([20, 30]);
    using w = Tensor.zeros([40, 30]);
    linear(x, w).dispose();
    assertEquals(known.size, 0);
  });
});
