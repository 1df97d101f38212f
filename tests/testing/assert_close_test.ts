import { describe, it } from "@std/testing/bdd";
import { assertEquals, assertRejects } from "@std/assert";
import { KernelwrightError, Tensor } from "@kernelwright/sdk";
import { assertClose } from "@kernelwright/sdk/testing";

const tensor = (values: number[][]) => Tensor.from(values, { device: "reference" });

describe("assertClose()", () => {
  it("takes tensors and arrays, and NaN and infinities for themselves", async () => {
    await assertClose(tensor([[1, 2]]), [1 + 1e-6, 2]);
    await assertClose([NaN, Infinity, -0], [NaN, Infinity, 0]);
    await assertClose([1.09], [1], { atol: 0.1 });
  });

  it("says how many, where, by how much and what was allowed", async () => {
    const error = await assertRejects(
      () => assertClose(tensor([[1, 2], [3, 5]]), tensor([[1, 2.5], [3, 4]]), { atol: 0.25 }),
      KernelwrightError,
    );
    assertEquals(
      error.message,
      `KW-TEST-CLOSE
  2 of 4 values of [2, 2] are too far off (atol 0.25)
  worst [1, 1]         got 5, expected 4, off by 1, allowed 0.250040
        [0, 1]         got 2, expected 2.50000, off by 0.500000, allowed 0.250025
  first [0, 1]`,
    );
  });

  it("refuses other shapes, other counts, and a number in place of NaN or infinity", async () => {
    const refuses = async (a: Tensor | number[], b: Tensor | number[]) => {
      assertEquals((await assertRejects(() => assertClose(a, b), KernelwrightError)).code, "KW-TEST-CLOSE");
    };
    await refuses(tensor([[1, 2]]), tensor([[1], [2]]));
    await refuses([1, 2], [1]);
    await refuses([1], [NaN]);
    await refuses([NaN], [1]);
    await refuses([Infinity], [-Infinity]);
    await refuses([1e38], [Infinity]);
  });
});
