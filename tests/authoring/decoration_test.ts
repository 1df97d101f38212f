import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { kernel, Layout, layout, type Tensor } from "@kernelwright/sdk";
import { concatenate, convert, fuses, rename, replaces } from "@kernelwright/sdk";
import { isKernel, kernelDefinition } from "@kernelwright/sdk/inspect";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";
import { decorate } from "../helpers/decorate.ts";
import { assertRefused } from "../helpers/refused.ts";

const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });

@layout({ site })
class Fused extends Layout {
  constructor(_norm: RMSNorm, _mlp: LlamaMLP) {
    super();
  }
}

const asLayout = (options: unknown, cls: abstract new (...args: never[]) => unknown) => () =>
  decorate(layout(options as never), cls);
const asKernel = (options: unknown, cls: abstract new (...args: never[]) => unknown) => () =>
  decorate(kernel(options as never), cls);
const twoParts = () =>
  class Two extends Layout {
    constructor(_norm: RMSNorm, _mlp: LlamaMLP) {
      super();
    }
  };
const withForward = () =>
  class Run {
    forward(x: Tensor): Tensor {
      return x;
    }
  };

describe("@layout refuses, when it decorates,", () => {
  it("a class that extends nothing", () => {
    assertRefused(
      asLayout(
        { site },
        class Plain {
          constructor(readonly a: number, readonly b: number) {}
        },
      ),
      `
      KW-SIGNATURE-LAYOUT  Plain
        Plain does not extend Layout
        Write class Plain extends Layout.`,
    );
  });

  it("a fusion's constructor that takes fewer parameters", () => {
    assertRefused(
      asLayout(
        { site },
        class Few extends Layout {
          constructor(readonly norm: RMSNorm) {
            super();
          }
        },
      ),
      `
      KW-SIGNATURE-ARITY  Few
        The constructor of Few takes 1 parameter; the site has 2 parts
        Write constructor(norm: RMSNorm, mlp: LlamaMLP), without defaults.`,
    );
  });

  it("a fusion's constructor with a default, which the part would never fill", () => {
    class Defaulted extends Layout {
      constructor(readonly norm: RMSNorm, readonly mlp: LlamaMLP | undefined = undefined) {
        super();
      }
    }
    assertRefused(
      asLayout({ site }, Defaulted),
      `
      KW-SIGNATURE-ARITY  Defaulted
        The constructor of Defaulted takes 1 parameter; the site has 2 parts
        Write constructor(norm: RMSNorm, mlp: LlamaMLP), without defaults.`,
    );
  });

  it("a source that begins with no part", () => {
    assertRefused(
      asLayout({ site, conversions: [rename("nrm.weight", "scale")] }, twoParts()),
      `
      KW-CONVERT-SOURCE  Two
        The conversion source "nrm.weight" begins with no part of the site (fuses norm: RMSNorm → mlp: LlamaMLP)
        Did you mean "norm"?`,
    );
  });

  it("a dropped source that begins with no part", () => {
    assertRefused(
      asLayout({ site, drops: ["mpl.weight"] }, twoParts()),
      `
      KW-CONVERT-SOURCE  Two
        The conversion source "mpl.weight" begins with no part of the site (fuses norm: RMSNorm → mlp: LlamaMLP)
        Known: "norm", "mlp".`,
    );
  });

  it("two conversions with one target", () => {
    const conversions = [rename("norm.weight", "scale"), rename("mlp.up_proj.weight", "scale")];
    assertRefused(
      asLayout({ site, conversions }, twoParts()),
      `
      KW-CONVERT-TWICE  Two
        Two conversions produce "scale"
        Produce each parameter exactly once.`,
    );
  });

  it("two conversions with one source", () => {
    const conversions = [
      rename("norm.weight", "scale"),
      convert(["norm.weight", "mlp.up_proj.weight"], "both", [concatenate(0)]),
    ];
    assertRefused(
      asLayout({ site, conversions }, twoParts()),
      `
      KW-CONVERT-TWICE  Two
        Two conversions read "norm.weight"
        Read each source once; split it with split() or chunk().`,
    );
  });

  it("a source that is both converted and dropped", () => {
    const options = { site, conversions: [rename("norm.weight", "scale")], drops: ["norm.weight"] };
    assertRefused(
      asLayout(options, twoParts()),
      `
      KW-CONVERT-TWICE  Two
        Two conversions read "norm.weight"
        Read each source once; split it with split() or chunk().`,
    );
  });

  it("an option that it does not have", () => {
    assertRefused(
      asLayout({ site, conversion: [] }, twoParts()),
      `
      KW-KERNEL-OPTION  Two
        @layout has no option "conversion"
        Did you mean "conversions"?`,
    );
  });

  it("no site", () => {
    assertRefused(
      asLayout({}, twoParts()),
      `
      KW-SIGNATURE-SITE  Two
        Two names no site
        Give { site: replaces(…) }, fuses(…) or fusesParallel(…).`,
    );
  });
});

describe("@kernel refuses, when it decorates,", () => {
  it("a class without forward", () => {
    assertRefused(
      asKernel(
        { site, layout: Fused },
        class Nothing {
          run() {}
        },
      ),
      `
      KW-SIGNATURE-FORWARD  Nothing
        Nothing has no forward method
        Write forward(this: …) in the class body.`,
    );
  });

  it("a fusion without a layout", () => {
    assertRefused(
      asKernel({ site }, withForward()),
      `
      KW-SIGNATURE-SITE  Run
        Run fuses norm: RMSNorm → mlp: LlamaMLP and names no layout
        A fusion needs a layout that holds its parameters.`,
    );
  });

  it("the layout of another site", () => {
    assertRefused(
      asKernel({ site: replaces(RMSNorm), layout: Fused }, withForward()),
      `
      KW-SIGNATURE-SITE  Run
        Run replaces RMSNorm, and its layout Fused fuses norm: RMSNorm → mlp: LlamaMLP
        Write the site once and give it to both.`,
    );
  });

  it("a layout that is not declared", () => {
    class Undeclared extends Layout {}
    assertRefused(
      asKernel({ site, layout: Undeclared }, withForward()),
      `
      KW-SIGNATURE-LAYOUT  Run
        Undeclared is not declared as a layout
        Decorate it with @layout({ site, conversions }).`,
    );
  });

  it("an option that it does not have", () => {
    assertRefused(
      asKernel({ site, layout: Fused, require: {} }, withForward()),
      `
      KW-KERNEL-OPTION  Run
        @kernel has no option "require"
        Did you mean "requires"?`,
    );
  });

  it("a requirement that there is not", () => {
    assertRefused(
      asKernel({ site, layout: Fused, requires: { feature: [] } }, withForward()),
      `
      KW-KERNEL-OPTION  Run
        @kernel has no requirement "feature"
        Did you mean "features"?`,
    );
  });

  it("a site that is made by hand", () => {
    assertRefused(
      asKernel({ site: { kind: "replaces", parts: [] } }, withForward()),
      `
      KW-SIGNATURE-SITE  Run
        Run names no site
        Give { site: replaces(…) }, fuses(…) or fusesParallel(…).`,
    );
  });
});

describe("kernelDefinition()", () => {
  it("knows a decorated class by name, site and layout", () => {
    @kernel({ site, layout: Fused, version: "1.2.3" })
    class Known {
      forward(this: Fused, x: Tensor): Tensor {
        return x;
      }
    }
    const { name, version, site: known, layout: of } = kernelDefinition(Known);
    assertEquals([name, version, known, of?.cls], ["Known", "1.2.3", site, Fused]);
    assertEquals([isKernel(Known), isKernel(Fused), isKernel(undefined)], [true, false, false]);
  });

  it("does not take a subclass for its kernel", () => {
    const Kernel = decorate(kernel({ site, layout: Fused }), withForward());
    class Derived extends Kernel {}
    assertEquals(isKernel(Derived), false);
    assertRefused(
      () => kernelDefinition(Derived),
      `
      KW-KERNEL-UNDECLARED
        Derived is not declared as a kernel
        Decorate the class with @kernel({ site, layout }), and name the kernel, not its layout.`,
    );
  });

  it("refuses the layout in place of the kernel", () => {
    assertRefused(
      () => kernelDefinition(Fused),
      `
      KW-KERNEL-UNDECLARED
        Fused is not declared as a kernel
        Decorate the class with @kernel({ site, layout }), and name the kernel, not its layout.`,
    );
  });
});
