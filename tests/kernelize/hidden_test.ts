/** Modules that a config cannot reach are hinted at, and kernels that would never run are reported. */
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { kernelize, KernelwrightError, Module, scope, Tensor, unkernelize } from "@kernelwright/sdk";
import { add } from "@kernelwright/sdk/ops";
import { replace, useKernelMapping } from "@kernelwright/sdk/config";
import { planKernelize } from "@kernelwright/sdk/inspect";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";
import { fuse } from "../../sdk/kernelize/mod.ts";
import { Norm, NormForward, NormMLP, WIDTH } from "./fixtures.ts";
import { fill, leavesUnchanged, outputOf } from "./unchanged.ts";

abstract class Shown extends Module {
  exampleInputs(): unknown[][] {
    return [[Tensor.empty([2, WIDTH], { device: "meta" })]];
  }
}

class InArray extends Shown {
  norms = [new RMSNorm(WIDTH), new RMSNorm(WIDTH)];
  override forward(x: Tensor): Tensor {
    return this.norms.reduce((v, n) => n.call(v), x);
  }
}
class InMap extends Shown {
  parts = new Map([["first", { norm: [new RMSNorm(WIDTH)] }]]);
  override forward(x: Tensor): Tensor {
    return this.parts.get("first")!.norm[0].call(x);
  }
}
class InSet extends Shown {
  parts = new Set([new RMSNorm(WIDTH)]);
  override forward(x: Tensor): Tensor {
    for (const n of this.parts) x = n.call(x);
    return x;
  }
}
class Private extends Shown {
  readonly #norm = new RMSNorm(WIDTH);
  override forward(x: Tensor): Tensor {
    return this.#norm.call(x);
  }
}
class Inside extends Shown {
  inner = new Private();
  override forward(x: Tensor): Tensor {
    return this.inner.call(x);
  }
}
class BelowHidden extends Shown {
  inner = [
    new class extends Module {
      norm = new RMSNorm(WIDTH);
      override forward(x: Tensor): Tensor {
        return this.norm.call(x);
      }
    }(),
  ];
  override forward(x: Tensor): Tensor {
    return this.inner[0].call(x);
  }
}

describe("a name that matches nothing", () => {
  for (
    const [Model, hint] of [
      [InArray, /There is a RMSNorm in an array, at "norms\[0\]"\./],
      [InMap, /There is a RMSNorm in an array, at "parts\[first\]\.norm\[0\]"\./],
      [InSet, /There is a RMSNorm in a Set, at "parts\[0\]"\./],
      [Private, /There is a RMSNorm in a private field or a closure that "Private" runs\./],
      [Inside, /There is a RMSNorm in a private field or a closure that "inner" runs\./],
      [BelowHidden, /There is a RMSNorm in an array, at "inner\[0\]"\./],
    ] as const
  ) {
    it(`is hinted at in ${Model.name}`, async () => {
      const error = await assertRejects(
        () => planKernelize(new Model(), { kernels: [replace("RMSNorm", Norm)] }),
        KernelwrightError,
      );
      assertEquals(error.code, "KW-MATCH-NAME");
      assertMatch(error.message, hint);
      assertMatch(error.message, /ModuleList/);
    });
  }

  it("is hinted at where it comes from a mapping", async () => {
    const error = await useKernelMapping(
      { RMSNorm: Norm },
      {},
      () => assertRejects(() => kernelize(new InSet()), KernelwrightError),
    );
    assertMatch(error.message, /There is a RMSNorm in a Set, at "parts\[0\]"\./);
  });

  it("is not hinted at where there is none", async () => {
    const error = await assertRejects(
      () => planKernelize(new InArray(), { kernels: [replace("RMSNrom", Norm)] }),
      KernelwrightError,
    );
    assertEquals(error.diagnostic.notes, undefined);
  });
});

/** Runs what it captured, and not what stands in its property. */
class Closure extends Shown {
  norm = new RMSNorm(WIDTH);
  mlp = new LlamaMLP(WIDTH, 12);
  last = new RMSNorm(WIDTH);
  run: (x: Tensor) => Tensor;
  constructor(which: "norm" | "mlp") {
    super();
    const { norm, mlp } = this;
    this.run = (x) => which === "norm" ? this.mlp.call(norm.call(x)) : mlp.call(this.norm.call(x));
  }
  override forward(x: Tensor): Tensor {
    return this.last.call(add(x, this.run(x)));
  }
}

describe("a module that is captured in a closure", () => {
  const chain = fuse([["RMSNorm", "norm"], ["LlamaMLP", "mlp"]], NormMLP);

  it("keeps its original, and the report says that the kernel would never run", async () => {
    const model = fill(new Closure("norm"));
    const plain = await outputOf(model, [2, WIDTH]);
    await leavesUnchanged(model, async () => {
      const report = await kernelize(model, { kernels: [replace("RMSNorm", Norm)] });
      assertEquals(report.swapped.map((s) => s.path), ["last"]);
      assertMatch(
        report.at("norm")!.reason,
        /^Norm would never run: the forward of Closure runs the original/,
      );
      assertMatch(String(report), /would never run/);
      assertEquals(await outputOf(model, [2, WIDTH]), plain);
      unkernelize(model);
      for (const which of ["norm", "mlp"] as const) {
        const fused = await kernelize(fill(new Closure(which)), { kernels: [chain] });
        assertEquals(fused.swapped, []);
        assertMatch(fused.at("norm")!.reason, /^NormMLP would never run/);
      }
    });
  });

  it("is an error where the original may not stay", async () => {
    for (const model of [new Closure("norm"), fill(new Closure("norm"))]) {
      await leavesUnchanged(model, async () => {
        const error = await assertRejects(
          () => kernelize(model, { kernels: [replace("RMSNorm", Norm, { at: "norm", fallback: false })] }),
          KernelwrightError,
          "would never run",
        );
        assertEquals(error.code, "KW-SELECT-NONE");
      });
    }
  });

  it("runs a kernel that has no layout", async () => {
    const model = fill(new Closure("norm"));
    const report = await kernelize(model, { kernels: [replace("RMSNorm", NormForward)] });
    assertEquals(report.swapped.length, 2);
    scope(() => void model.call(Tensor.zeros([2, WIDTH], { device: "reference" })));
  });
});
