/** Siblings that cannot be fused in parallel, and weights that cannot be taken away. */
import { describe, it } from "@std/testing/bdd";
import { kernelize, type Tensor } from "@kernelwright/sdk";
import { mul, scale, slice } from "@kernelwright/sdk/ops";
import { fuseParallel } from "@kernelwright/sdk/config";
import { assertRefusedLater } from "../helpers/refused.ts";
import { Mixer, QKV, Stack } from "./fixtures.ts";
import { fill, leavesUnchanged } from "./unchanged.ts";

const qkv = fuseParallel([["Linear", "layers.*.q"], ["Linear", "layers.*.k"], ["Linear", "layers.*.v"]], QKV);

describe("siblings that are fused in parallel must", () => {
  const refusesMixer = async (wiring: (m: Mixer, x: Tensor) => Tensor, message: string) => {
    class Wired extends Mixer {
      override forward(x: Tensor): Tensor {
        return wiring(this, x);
      }
    }
    const model = fill(new Stack(() => new Wired()));
    await leavesUnchanged(
      model,
      () => assertRefusedLater(() => kernelize(model, { kernels: [qkv] }), message),
    );
  };

  it("be fed the same", () =>
    refusesMixer(
      (m, x) => {
        const [q, k] = [m.q.call(x), m.k.call(scale(x, 2))];
        mul(k, m.v.call(x));
        return q;
      },
      `
      KW-TRACE-BROKEN  QKV at "layers.0.q"
        Cannot fuse: "layers.0.q" and "layers.0.k" are fed different inputs
        fuseParallel takes siblings with the same input; use fuse for a chain.`,
    ));

  it("begin with the first", () =>
    refusesMixer(
      (m, x) => {
        mul(m.k.call(x), m.v.call(x));
        return m.q.call(x);
      },
      `
      KW-TRACE-ORDER  QKV at "layers.0.q"
        Cannot fuse: "layers.0.k" runs before "layers.0.q"
        Name the parts in the order in which they run.`,
    ));
});

describe("a layout must not", () => {
  it("take away a weight that the parent reads", async () => {
    class Reads extends Mixer {
      override forward(x: Tensor): Tensor {
        return mul(super.forward(x), slice(this.q.weight, 0, 0, 1));
      }
    }
    const model = fill(new Stack(() => new Reads()));
    await leavesUnchanged(model, () =>
      assertRefusedLater(
        () => kernelize(model, { kernels: [qkv] }),
        `
      KW-TRACE-WEIGHT  QKV at "layers.0.q"
        Cannot replace "layers.0.q": "layers.0.q.weight" is also read by slice in the forward of Reads
        Hand it on as a value, or replace the parent, Reads, with one kernel.`,
      ));
  });
});
