import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { KernelwrightError } from "../../sdk/errors.ts";
import {
  broadcastShapes,
  byteLength,
  numel,
  resolveDim,
  sameShape,
  stridesOf,
} from "../../sdk/tensor/mod.ts";

describe("shapes", () => {
  it("numel(), byteLength() and stridesOf() count elements", () => {
    assertEquals([numel([]), numel([2, 3]), numel([2, 0])], [1, 6, 0]);
    assertEquals(byteLength({ shape: [3], dtype: "f16" }), 6);
    assertEquals(stridesOf([2, 3, 4]), [12, 4, 1]);
  });

  it("sameShape() compares", () => {
    assertEquals([sameShape([2, 3], [2, 3]), sameShape([2], [2, 1]), sameShape([], [])], [true, false, true]);
  });

  it("broadcastShapes() stretches ones, from the end", () => {
    assertEquals(broadcastShapes([2, 1, 4], [3, 1], "add"), [2, 3, 4]);
    assertEquals(broadcastShapes([], [2], "add"), [2]);
    assertEquals(broadcastShapes([0], [1], "add"), [0]);
    assertEquals(
      assertThrows(() => broadcastShapes([2, 3], [3, 2], "add"), KernelwrightError).code,
      "KW-TENSOR-SHAPE",
    );
  });

  it("resolveDim() counts negative dimensions from the end", () => {
    assertEquals([resolveDim(-1, 3, "x"), resolveDim(0, 3, "x")], [2, 0]);
    assertEquals(
      assertThrows(() => resolveDim(0, 0, "sum"), KernelwrightError).message,
      "KW-TENSOR-SHAPE\n  Cannot sum: dimension 0 of a tensor of rank 0\n  A scalar has no dimensions.",
    );
    assertThrows(() => resolveDim(3, 3, "sum"), KernelwrightError);
    assertThrows(() => resolveDim(0.5, 3, "sum"), KernelwrightError);
  });
});
