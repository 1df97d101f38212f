/** Mistakes in a config, each with its whole message; the model stays what it was. */
import { describe, it } from "@std/testing/bdd";
import { type KernelConfig, kernelize } from "@kernelwright/sdk";
import { disable, fuse, fuseParallel, replace } from "@kernelwright/sdk/config";
import { Linear, LlamaMLP, Module, RMSNorm } from "@kernelwright/sdk/nn";
import type { Tensor } from "@kernelwright/sdk";
import { assertRefusedLater } from "../helpers/refused.ts";
import { Block, Norm, NormMLP, QKV, Stack, WIDTH } from "./fixtures.ts";
import { fill, leavesUnchanged } from "./unchanged.ts";

async function refuses(model: Module, kernels: KernelConfig["kernels"], message: string): Promise<void> {
  fill(model);
  await leavesUnchanged(model, () => assertRefusedLater(() => kernelize(model, { kernels }), message));
}

/** Norm and MLP, and others of their kind, under different parents. */
class Apart extends Module {
  first = new Block();
  head = new Inner();
  override forward(x: Tensor): Tensor {
    return this.head.call(this.first.call(x));
  }
}
class Inner extends Module {
  mlp = new LlamaMLP(WIDTH, 12);
  override forward(x: Tensor): Tensor {
    return this.mlp.call(x);
  }
}

describe("matching refuses", () => {
  it("a name that the model does not have", () =>
    refuses(
      new Stack(),
      [replace("RMSNrom", Norm)],
      `
        KW-MATCH-NAME  kernels[0]
          kernels[0] (replace RMSNrom) matches nothing: the model has no layer "RMSNrom"
          Did you mean "RMSNorm"?`,
    ));

  it("a name in a fusion that the model does not have", () =>
    refuses(
      new Stack(),
      [fuse(["RMSNorm", "QwenMoe"], NormMLP)],
      `
        KW-MATCH-NAME  kernels[0]
          kernels[0] (fuse RMSNorm, QwenMoe) matches nothing: the model has no layer "QwenMoe"
          Known: "RMSNorm", "LlamaMLP", "Linear", "SiluAndMul".`,
    ));

  it("a path where nothing has that name", () =>
    refuses(
      new Stack(),
      [replace("RMSNorm", Norm, { at: "model.layers.*.norm" })],
      `
        KW-MATCH-NONE  kernels[0]
          kernels[0] (replace RMSNorm) matches no RMSNorm at "model.layers.*.norm"
          Did you mean "layers.*.norm"? There is RMSNorm at "layers.0.norm", "layers.1.norm", "norm".`,
    ));

  it("a fusion whose pattern matches nothing", () =>
    refuses(
      new Stack(),
      [fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.ffn"]], NormMLP)],
      `
        KW-MATCH-NONE  kernels[0]
          kernels[0] (fuse RMSNorm, LlamaMLP) matches no LlamaMLP at "layers.*.ffn"
          Did you mean "layers.*.mlp"? There is LlamaMLP at "layers.0.mlp", "layers.1.mlp".`,
    ));

  it("a disable that disables nothing", () =>
    refuses(
      new Stack(),
      [disable("RMSNorm", { at: "layers.9.norm" })],
      `
        KW-MATCH-NONE  kernels[0]
          kernels[0] (disable RMSNorm) matches no RMSNorm at "layers.9.norm"
          Did you mean "layers.*.norm"? There is RMSNorm at "layers.0.norm", "layers.1.norm", "norm".`,
    ));

  it("a pattern that is none", () =>
    refuses(
      new Stack(),
      [replace("RMSNorm", Norm, { at: "layers.*norm" })],
      `
        KW-CONFIG-PATTERN  kernels[0]
          The path pattern "layers.*norm" has the segment "*norm"
          Separate names with dots, and use "*" for one whole segment; for more, give { "regex": … }.`,
    ));

  it("a regular expression that is none", () =>
    refuses(
      new Stack(),
      [replace("RMSNorm", Norm, { at: { regex: "layers.(" } })],
      `
        KW-CONFIG-PATTERN  kernels[0]
          The regular expression "layers.(" is not valid
          SyntaxError: Invalid regular expression: /layers.(/: Unterminated group`,
    ));

  it("parts with different parents", () =>
    refuses(
      new Apart(),
      [fuse([["RMSNorm", "first.norm"], ["LlamaMLP", "head.mlp"]], NormMLP)],
      `
        KW-MATCH-PARENTS  at "first.norm" kernels[0]
          Cannot fuse RMSNorm and LlamaMLP: "first.norm" and "head.mlp" have different parents
          The parts of a fusion are siblings: properties of one module.`,
    ));

  it("a part that is missing at one site", () =>
    refuses(
      new Stack((i) => i === 1 ? new NoNorm() : new Block()),
      [fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP)],
      `
        KW-MATCH-PART  at "layers.1" kernels[0]
          Cannot fuse under "layers.1": no RMSNorm there matches "layers.*.norm"
          Its children are: mlp (LlamaMLP), proj (Linear). Narrow the other parts' patterns to the layers that have every part.`,
    ));

  it("a part that could be either of two", () =>
    refuses(
      new Stack(() => new TwoNorms()),
      [fuse(["RMSNorm", ["LlamaMLP", "layers.*.mlp"]], NormMLP)],
      `
        KW-MATCH-AMBIGUOUS  at "layers.0" kernels[0]
          Cannot fuse under "layers.0": 2 modules are RMSNorm: norm, other
          Give a path pattern for that part.`,
    ));

  it("a module that stands at two paths", () =>
    refuses(
      new Shared(),
      [replace("RMSNorm", Norm)],
      `
        KW-MATCH-SHARED  at "first"
          "first" is the same module as "second"
          A shared module cannot be swapped at one place; build one for each.`,
    ));

  it("two fusions by path that share a part", () =>
    refuses(
      new Stack(),
      [
        fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP),
        replace("LlamaMLP", Norm, { at: "layers.1.mlp" }),
      ],
      `
        KW-MATCH-OVERLAP  at "layers.1.mlp"
          kernels[0] (fuse RMSNorm, LlamaMLP) and kernels[1] (replace LlamaMLP) both claim "layers.1.mlp"
          Narrow one of the paths.`,
    ));

  it("a kernel by path inside the site of another", () =>
    refuses(
      new Stack(),
      [
        fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP),
        replace("Linear", QKV, { at: "layers.0.mlp.up_proj" }),
      ],
      `
        KW-MATCH-NESTED  at "layers.0.mlp.up_proj"
          kernels[1] (replace Linear) at "layers.0.mlp.up_proj" is inside the site of kernels[0] (fuse RMSNorm, LlamaMLP) at "layers.0.mlp"
          A kernel stands for all that is below it: keep one of the two.`,
    ));

  it("the model itself", () =>
    refuses(
      new RMSNorm(WIDTH),
      [replace("RMSNorm", Norm)],
      `
        KW-MATCH-ROOT  Norm at ""
          The model itself cannot be replaced by a layout: nothing holds it
          Replace a module inside it, or wrap it in a module.`,
    ));
});

describe("the signature proof at application refuses", () => {
  it("replace with a kernel that fuses", () =>
    refuses(
      new Stack(),
      [replace("RMSNorm", NormMLP)],
      `
        KW-SIGNATURE-SITE  NormMLP at "layers.0.norm"
          NormMLP fuses norm: RMSNorm → mlp: LlamaMLP, and the entry replaces 1 module
          Use fuse for this kernel.`,
    ));

  it("fuseParallel with a kernel that fuses a chain", () =>
    refuses(
      new Stack(),
      [fuseParallel([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP)],
      `
        KW-SIGNATURE-SITE  NormMLP at "layers.0.norm"
          NormMLP fuses norm: RMSNorm → mlp: LlamaMLP, and the entry fusesParallel 2 modules
          Use fuse for this kernel.`,
    ));

  it("more parts than the kernel has", () =>
    refuses(
      new Stack(() => new TwoNorms()),
      [fuse(
        [["RMSNorm", "layers.*.norm"], ["RMSNorm", "layers.*.other"], ["LlamaMLP", "layers.*.mlp"]],
        NormMLP,
      )],
      `
        KW-SIGNATURE-ARITY  NormMLP at "layers.0.norm"
          NormMLP takes 2 parts (fuses norm: RMSNorm → mlp: LlamaMLP), and the entry names 3
          Name RMSNorm, LlamaMLP, in this order.`,
    ));

  it("parts of other classes", () =>
    refuses(
      new Stack(),
      [fuse([["LlamaMLP", "layers.*.mlp"], ["RMSNorm", "layers.*.norm"]], NormMLP)],
      `
        KW-SIGNATURE-CLASS  NormMLP at "layers.0.mlp"
          NormMLP is written for RMSNorm, and "layers.0.mlp" is LlamaMLP, no RMSNorm
          Write a kernel for that class.`,
    ));

  it("a subclass that adds one to the weight, though it goes by the same name", async () => {
    const { GemmaNorm } = await import("./gemma.ts");
    await refuses(
      new Stack(() => new GemmaNorm(WIDTH)),
      [replace("RMSNorm", Norm, { at: "layers.*" })],
      `
        KW-SIGNATURE-CLASS  Norm at "layers.0"
          Norm is written for RMSNorm, and "layers.0" is GemmaNorm, a subclass of RMSNorm
          Write a kernel for that class.`,
    );
  });

  it("a look-alike that the compiler takes for the class", async () => {
    const { TwinNorm } = await import("./gemma.ts");
    await refuses(
      new Stack(() => new TwinNorm(WIDTH)),
      [replace("RMSNorm", Norm, { at: "layers.*" })],
      `
      KW-SIGNATURE-CLASS  Norm at "layers.0"
        Norm is written for RMSNorm, and "layers.0" is TwinNorm, no RMSNorm
        Write a kernel for that class.`,
    );
  });

  it("a module whose arguments nobody knows", async () => {
    const { ForeignNormKernel, ForeignNorm } = await import("./gemma.ts");
    await refuses(
      new Stack(() => new ForeignNorm(WIDTH)),
      [replace("ForeignNorm", ForeignNormKernel)],
      `
        KW-SIGNATURE-ARGUMENTS  ForeignNormKernel at "layers.0"
          The arguments that "layers.0" was built with are not known
          Decorate ForeignNorm with @layer, or give makeReplaceable an argumentsOf.`,
    );
  });
});

class NoNorm extends Module {
  mlp = new LlamaMLP(WIDTH, 12);
  proj = new Linear(WIDTH, WIDTH);
  override forward(x: Tensor): Tensor {
    return this.mlp.call(this.proj.call(x));
  }
}
class TwoNorms extends Module {
  norm = new RMSNorm(WIDTH);
  other = new RMSNorm(WIDTH);
  mlp = new LlamaMLP(WIDTH, 12);
  override forward(x: Tensor): Tensor {
    return this.mlp.call(this.other.call(this.norm.call(x)));
  }
}
class Shared extends Module {
  first = new RMSNorm(WIDTH);
  second = this.first;
  override forward(x: Tensor): Tensor {
    return this.second.call(this.first.call(x));
  }
}
