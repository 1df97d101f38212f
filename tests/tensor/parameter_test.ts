import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { memory } from "../../sdk/gpu/mod.ts";
import { parameter, scope, Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

describe("Parameter", () => {
  gpuForFile();

  it("begins on meta, and outlives the scope that it was made in", () => {
    const p = scope(() => [parameter([2, 3], "f16")])[0];
    assertEquals([p.device, p.dtype, p.shape, p.materialized, p.released], [
      "meta",
      "f16",
      [2, 3],
      false,
      false,
    ]);
  });

  it("assign() takes over values and dtype, and releases the source", async () => {
    const before = memory().tensors;
    const p = parameter([2], "f16");
    const source = Tensor.from([1, 2]);
    p.assign(source);
    assertEquals([p.materialized, p.dtype, source.released, memory().tensors], [
      true,
      "f32",
      true,
      before + 1,
    ]);
    assertEquals(await p.data(), Float32Array.of(1, 2));
    p.assign(Tensor.from([3, 4])); // the old values go
    assertEquals([await p.data(), memory().tensors], [Float32Array.of(3, 4), before + 1]);
    p.unload();
    assertEquals([p.device, p.shape, memory().tensors], ["meta", [2], before]);
  });

  it("takes values made inside a scope out of it", async () => {
    const p = parameter([1]);
    scope(() => p.assign(Tensor.from([5])));
    assertEquals(await p.data(), Float32Array.of(5));
    p.unload();
  });
});
