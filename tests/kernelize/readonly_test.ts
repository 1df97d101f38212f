/** Parents that cannot be changed: refused by the plan, before anything is, and the model stays as it was. */
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type KernelConfig, kernelize, KernelwrightError, type Tensor, unkernelize } from "@kernelwright/sdk";
import { fuse, replace } from "@kernelwright/sdk/config";
import { planKernelize } from "@kernelwright/sdk/inspect";
import { Module, RMSNorm } from "@kernelwright/sdk/nn";
import { Block, Norm, NormForward, NormMLP, Stack, WIDTH } from "./fixtures.ts";
import { fill, leavesUnchanged } from "./unchanged.ts";

const norms: KernelConfig = { kernels: [replace("RMSNorm", Norm)] };
const fused: KernelConfig = {
  kernels: [fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP)],
};
const forwards: KernelConfig = { kernels: [replace("RMSNorm", NormForward)] };

/** A block that holds its norm where it cannot be set. */
class Behind extends Module {
  readonly #norm = new RMSNorm(WIDTH);
  declare readonly norm: RMSNorm;
  constructor(how: PropertyDescriptor = { get: () => this.#norm }) {
    super();
    Object.defineProperty(this, "norm", { enumerable: true, ...how });
  }
  override forward(x: Tensor): Tensor {
    return this.norm.call(x);
  }
}

async function refuses(model: Module, config: KernelConfig, why: string): Promise<void> {
  fill(model);
  await leavesUnchanged(model, async () => {
    for (const run of [planKernelize, kernelize]) {
      const error = await assertRejects(() => run(model, config), KernelwrightError);
      assertEquals(error.code, "KW-SWAP-READONLY");
      assertStringIncludes(error.message, why);
    }
  });
}

describe("a swap is refused where", () => {
  it("the parent is frozen, at the first site or a later one", async () => {
    for (const frozen of [0, 1]) {
      for (const config of [norms, fused]) {
        const model = new Stack();
        Object.freeze(model.layers[frozen]);
        await refuses(model, config, `Cannot swap "layers.${frozen}.norm": its parent is frozen`);
      }
    }
  });

  it("only a later part of a fusion cannot be set", async () => {
    const model = new Stack();
    Object.defineProperty(model.layers[1], "mlp", { writable: false });
    await refuses(model, fused, `Cannot swap "layers.1.mlp": its parent's property is read-only`);
  });

  it("the list of the parents is frozen, and not the parents: that is no matter", async () => {
    const model = fill(new Stack());
    Object.freeze(model.layers);
    Object.preventExtensions(model.layers[0]);
    await kernelize(model, norms);
    unkernelize(model);
  });

  it("the parent has a getter alone", () =>
    refuses(new Stack(() => new Behind()), norms, "its parent has a getter for it and no setter"));

  it("the parent's property is not writable", () =>
    refuses(
      new Stack(() => new Behind({ value: new RMSNorm(WIDTH), writable: false })),
      norms,
      "its parent's property is read-only",
    ));

  it("the module itself is frozen, and only its forward is to be swapped", async () => {
    const model = new Stack();
    Object.freeze((model.layers[0] as Block).norm);
    await refuses(model, forwards, `Cannot swap "layers.0.norm": the module is frozen`);
  });

  for (
    const [what, set, why] of [
      ["keeps something else", () => {}, "its parent has a setter that keeps something else"],
      ["throws", () => {
        throw new TypeError("not today");
      }, "its parent throws where it is set: TypeError: not today"],
    ] as const
  ) {
    it(`a setter ${what}`, async () => {
      const made = (norm: RMSNorm) => new Behind({ get: () => norm, set });
      // The second site is refused when the first is in already.
      const model = fill(new Stack((i) => i === 0 ? new Block() : made(new RMSNorm(WIDTH))));
      await leavesUnchanged(model, async () => {
        const error = await assertRejects(() => kernelize(model, norms), KernelwrightError);
        assertEquals(error.code, "KW-SWAP-READONLY");
        assertStringIncludes(error.message, why);
      });
    });
  }
});
