import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { kernelize, Module, Tensor } from "@kernelwright/sdk";
import { fuseParallel } from "@kernelwright/sdk/config";
import { Linear } from "@kernelwright/sdk/nn";
import { type Dims, testKernel } from "@kernelwright/sdk/testing";
import { QKVParallel } from "./mod.ts";

// 33 and 7 are not multiples of a block's 4 columns, and 1 is less than one.
const shapes: Dims[] = [
  { batch: 2, tokens: 3, width: 32, q: 33, k: 7, v: 18, bias: 0 },
  { batch: 1, tokens: 1, width: 4, q: 1, k: 1, v: 1, bias: 1 },
  { batch: 1, tokens: 17, width: 64, q: 64, k: 32, v: 32, bias: 0 },
  { batch: 3, tokens: 5, width: 12, q: 70, k: 2, v: 65, bias: 1 },
];

testKernel(QKVParallel, {
  modules: ({ width, q, k, v, bias }) => [q, k, v].map((size) => new Linear(width, size, bias === 1)),
  shapes,
  sizes: { width: { min: 4, multipleOf: 4 }, bias: { min: 0, max: 1 } },
});

class Attention extends Module {
  q_proj: Linear;
  k_proj: Linear;
  v_proj: Linear;

  constructor(width: number, biases: readonly [boolean, boolean, boolean]) {
    super();
    this.q_proj = new Linear(width, 8, biases[0]);
    this.k_proj = new Linear(width, 4, biases[1]);
    this.v_proj = new Linear(width, 4, biases[2]);
  }

  override forward(x: Tensor): Tensor[] {
    return [this.q_proj.call(x), this.k_proj.call(x), this.v_proj.call(x)];
  }
}

describe("QKVParallel and what it does not fit", () => {
  const entry = fuseParallel([["Linear", "q_proj"], ["Linear", "k_proj"], ["Linear", "v_proj"]], QKVParallel);

  async function reason(width: number, biases: readonly [boolean, boolean, boolean]): Promise<string> {
    const inputs = [Tensor.empty([1, 2, width], { device: "meta" })];
    const report = await kernelize(new Attention(width, biases), { kernels: [entry] }, { inputs });
    assertEquals(report.sites.length, 1);
    return report.swapped.length === 0 ? report.sites[0].reason : "taken";
  }

  it("takes all biases or none", async () => {
    assertEquals(await reason(8, [false, false, false]), "taken");
    assertEquals(await reason(8, [true, true, true]), "taken");
    const why = "QKVParallel: some of the projections have a bias and others have none";
    assertEquals(await reason(8, [true, true, false]), why);
    assertEquals(await reason(8, [false, true, true]), why);
  });

  it("leaves an input that does not divide by 4 to the original", async () => {
    assertEquals(
      await reason(6, [false, false, false]),
      "QKVParallel: in_features is 6, and the kernel loads 4 numbers at once",
    );
  });
});
