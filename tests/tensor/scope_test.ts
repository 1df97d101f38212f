import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import { memory } from "../../sdk/gpu/mod.ts";
import { keep, scope, Tensor, withTracer } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";

describe("scope()", () => {
  gpuForFile();

  it("releases what is not returned", () => {
    const before = memory().tensors;
    const out = scope(() => {
      Tensor.zeros([2]);
      return Tensor.zeros([3]);
    });
    assertEquals(memory().tensors, before + 1);
    out.dispose();
  });

  it("finds tensors in arrays, maps, sets and plain objects", () => {
    const made: Tensor[] = [];
    const make = () => (made.push(Tensor.zeros([1])), made.at(-1)!);
    const out = scope(() => ({
      a: [make(), { b: make() }],
      m: new Map([["k", make()]]),
      s: new Set([make()]),
    }));
    assert(made.every((t) => !t.released));
    assertEquals(out.a.length, 2);
    made.forEach((t) => t.dispose());
  });

  it("does not look into objects of a class", () => {
    class Holder {
      constructor(readonly tensor: Tensor) {}
    }
    assertEquals(scope(() => new Holder(Tensor.zeros([1]))).tensor.released, true);
  });

  it("hands what an inner scope returns to the outer one", () => {
    const before = memory().tensors;
    scope(() => {
      const inner = scope(() => Tensor.zeros([1]));
      assertEquals(inner.released, false);
    });
    assertEquals(memory().tensors, before);
  });

  it("leaves tensors of the scope around it alone", () => {
    scope(() => {
      const outer = Tensor.zeros([1]);
      scope(() => outer.reshape([1, 1]));
      assertEquals(outer.released, false);
    });
  });

  it("releases everything when the function throws", () => {
    const before = memory().tensors;
    assertThrows(() => scope(() => (Tensor.zeros([1]), null as unknown as { x: 1 }).x), TypeError);
    assertEquals(memory().tensors, before);
    // and the scope is gone: what is made now belongs to nobody
    const free = Tensor.zeros([1]);
    assertEquals(free.released, false);
    free.dispose();
  });

  it("keep() takes a tensor out", () => {
    let kept: Tensor;
    scope(() => void (kept = keep(Tensor.zeros([1]))));
    assertEquals(kept!.released, false);
    kept!.dispose();
  });

  it("refuses an asynchronous function", () => {
    const before = memory().tensors;
    const error = assertThrows(() => scope(() => Promise.resolve(Tensor.zeros([1]))), KernelwrightError);
    assertEquals(
      error.message,
      "KW-SCOPE-ASYNC\n  Cannot run an asynchronous function in scope()\n" +
        "  Await outside, or dispose the tensors by hand.",
    );
    assertEquals(memory().tensors, before);
  });
});

describe("Tensor.dispose() in a trace", () => {
  it("leaves a real tensor alone", () => {
    const t = Tensor.from([1, 2], { device: "reference" });
    withTracer({ op: () => {} }, () => t.dispose());
    assertEquals(t.released, false);
    t.dispose();
    assertEquals(t.released, true);
  });
});
