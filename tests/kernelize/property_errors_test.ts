/** Properties of a module that others use: a layout in its place may not have them, and the parent would compute on. */
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  kernel,
  kernelize,
  Layout,
  layout,
  type Parameter,
  parameter,
  rename,
  replaces,
  type Tensor,
  unkernelize,
} from "@kernelwright/sdk";
import { add, mul, rmsNorm, scale } from "@kernelwright/sdk/ops";
import { fuse, replace } from "@kernelwright/sdk/config";
import { layer, LlamaMLP, Module, RMSNorm } from "@kernelwright/sdk/nn";
import { assertRefusedLater } from "../helpers/refused.ts";
import { Norm, NormForward, NormMLP, Stack, WIDTH } from "./fixtures.ts";
import { fill, leavesUnchanged, outputOf } from "./unchanged.ts";

/** A norm with a method, a getter and a counter. */
@layer("Scaled")
class Scaled extends Module {
  weight: Parameter;
  runs = 0;
  constructor(readonly width: number, readonly eps = 1e-5) {
    super();
    this.weight = parameter([width]);
  }
  get twice(): number {
    return 2 * this.width;
  }
  stretch(x: Tensor): Tensor {
    return scale(x, this.eps);
  }
  override forward(x: Tensor): Tensor {
    this.runs++;
    return rmsNorm(this.stretch(x), this.weight, this.eps * this.twice);
  }
}

const site = replaces(Scaled);

@layout({ site, conversions: [rename("weight", "scale")] })
class ScaledLayout extends Layout {
  scale: Parameter;
  constructor(readonly width: number, readonly eps = 1e-5) {
    super();
    this.scale = parameter([width]);
  }
}

@kernel({ site, layout: ScaledLayout })
class ScaledKernel {
  forward(this: ScaledLayout, x: Tensor): Tensor {
    return rmsNorm(scale(x, this.eps), this.scale, this.eps * 2 * this.width);
  }
}

class Parent extends Module {
  norm = new RMSNorm(WIDTH, 1e-5);
  mlp = new LlamaMLP(WIDTH, 12);
  scaled = new Scaled(WIDTH);
  #wiring: (parent: Parent, x: Tensor) => Tensor;
  constructor(wiring: (parent: Parent, x: Tensor) => Tensor) {
    super();
    this.#wiring = wiring;
  }
  override forward(x: Tensor): Tensor {
    return this.#wiring(this, x);
  }
}

type Wiring = ConstructorParameters<typeof Parent>[0];
const chain = fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP);
const scaled = replace("Scaled", ScaledKernel);

async function refuses(wiring: Wiring, entry: typeof chain | typeof scaled, message: string): Promise<void> {
  const model = fill(new Stack(() => new Parent(wiring), 1));
  await leavesUnchanged(
    model,
    () => assertRefusedLater(() => kernelize(model, { kernels: [entry] }), message),
  );
}

async function swaps(wiring: Wiring, entry: typeof chain | typeof scaled): Promise<void> {
  const model = fill(new Stack(() => new Parent(wiring), 1));
  const plain = await outputOf(model, [2, 3, WIDTH]);
  await leavesUnchanged(model, async () => {
    await kernelize(model, { kernels: [entry] });
    const output = await outputOf(model, [2, 3, WIDTH]);
    output.forEach((v, i) => assertEquals(Math.abs(v - plain[i]) < 1e-9, true, `${v} and ${plain[i]}`));
    unkernelize(model);
  });
}

describe("of a module that a layout replaces, others must not use", () => {
  it("a property that the layout lacks", () =>
    refuses(
      (p, x) => mul(p.scaled.call(x), scale(x, p.scaled.runs + 1)),
      scaled,
      `
      KW-TRACE-PROPERTY  ScaledKernel at "layers.0.scaled"
        Cannot replace "layers.0.scaled": its "runs" is also used by the forward of Parent
        Give ScaledLayout the same "runs", or replace the parent, Parent, with one kernel.`,
    ));

  it("a property that a fusion's first part takes along", () =>
    refuses(
      (p, x) => p.mlp.call(p.norm.call(scale(x, p.norm.hidden_size))),
      chain,
      `
      KW-TRACE-PROPERTY  NormMLP at "layers.0.norm"
        Cannot replace "layers.0.norm": its "hidden_size" is also used by the forward of Parent
        Give NormMLPLayout the same "hidden_size", or replace the parent, Parent, with one kernel.`,
    ));

  it("a property of a later part, where an Identity will stand", () =>
    refuses(
      (p, x) => {
        const y = p.mlp.call(p.norm.call(x));
        return p.mlp.hidden_act === "silu" ? add(x, y) : y;
      },
      chain,
      `
      KW-TRACE-PROPERTY  NormMLP at "layers.0.mlp"
        Cannot replace "layers.0.mlp": its "hidden_act" is also used by the forward of Parent
        Replace the parent, Parent, with one kernel.`,
    ));

  it("a method", () =>
    refuses(
      (p, x) => p.scaled.call(p.scaled.stretch(x)),
      scaled,
      `
      KW-TRACE-PROPERTY  ScaledKernel at "layers.0.scaled"
        Cannot replace "layers.0.scaled": its "stretch" is also used by the forward of Parent
        Give ScaledLayout the same "stretch", or replace the parent, Parent, with one kernel.`,
    ));

  it("a getter", () =>
    refuses(
      (p, x) => scale(p.scaled.call(x), p.scaled.twice),
      scaled,
      `
      KW-TRACE-PROPERTY  ScaledKernel at "layers.0.scaled"
        Cannot replace "layers.0.scaled": its "twice" is also used by the forward of Parent
        Give ScaledLayout the same "twice", or replace the parent, Parent, with one kernel.`,
    ));

  it("a parameter's shape, which no operator reads", () =>
    refuses(
      (p, x) => scale(p.scaled.call(x), p.scaled.weight.shape[0]),
      scaled,
      `
      KW-TRACE-PROPERTY  ScaledKernel at "layers.0.scaled"
        Cannot replace "layers.0.scaled": its "weight" is also used by the forward of Parent
        Give ScaledLayout the same "weight", or replace the parent, Parent, with one kernel.`,
    ));

  it("a property that is set from outside", () =>
    refuses(
      (p, x) => {
        p.scaled.runs = 3;
        return p.scaled.call(x);
      },
      scaled,
      `
      KW-TRACE-PROPERTY  ScaledKernel at "layers.0.scaled"
        Cannot replace "layers.0.scaled": its "runs" is also used by the forward of Parent
        Give ScaledLayout the same "runs", or replace the parent, Parent, with one kernel.`,
    ));

  it("a property, from further up", async () => {
    class Top extends Stack {
      override forward(x: Tensor): Tensor {
        return scale(super.forward(x), (this.layers[0] as Parent).scaled.runs);
      }
    }
    const model = fill(new Top(() => new Parent((p, x) => p.scaled.call(x)), 1));
    await leavesUnchanged(model, () =>
      assertRefusedLater(
        () => kernelize(model, { kernels: [scaled] }),
        `
      KW-TRACE-PROPERTY  ScaledKernel at "layers.0.scaled"
        Cannot replace "layers.0.scaled": its "runs" is also used by the forward of Top
        Give ScaledLayout the same "runs", or replace the parent, Parent, with one kernel.`,
      ));
  });
});

describe("of a module that a kernel stands for, others may use", () => {
  it("a property that the layout has, with the same value", () =>
    swaps((p, x) => p.mlp.call(p.norm.call(scale(x, p.norm.eps))), chain));

  it("what every module has", () => swaps((p, x) => p.scaled.training ? x : p.scaled.call(x), scaled));

  it("what they like of a sealed module: it cannot be watched, and is swapped all the same", async () => {
    const parent = new Parent((p, x) => p.scaled.call(x));
    Object.seal(parent.scaled);
    const model = fill(new Stack(() => parent, 1));
    await leavesUnchanged(model, async () => {
      await kernelize(model, { kernels: [scaled] });
      unkernelize(model);
    });
  });

  it("anything where only forward is swapped", async () => {
    const model = fill(new Stack(() => new Parent((p, x) => scale(p.norm.call(x), p.norm.hidden_size)), 1));
    await kernelize(model, { kernels: [replace("RMSNorm", NormForward)] });
  });

  it("anything where the kernel was not taken", async () => {
    const model = fill(new Stack(() => new Parent((p, x) => scale(p.norm.call(x), p.norm.hidden_size)), 1));
    await kernelize(model, { kernels: [replace("RMSNorm", Norm, { at: "norm" })] });
  });
});
