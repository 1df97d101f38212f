/** A swap is local and reversible: it changes instances of one tree, and all of it can be put back. */
import { assert, assertEquals, assertNotStrictEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import {
  type BoundOp,
  type ConversionOp,
  convert,
  fuses,
  kernel,
  type KernelConfig,
  kernelize,
  kernelReport,
  Layout,
  layout,
  Module,
  type Parameter,
  parameter,
  rename,
  replaces,
  type Tensor,
  unkernelize,
} from "@kernelwright/sdk";
import { linear, rmsNorm } from "@kernelwright/sdk/ops";
import { Linear } from "@kernelwright/sdk/nn";
import { fuse, replace } from "@kernelwright/sdk/config";
import { LlamaMLP, RMSNorm } from "@kernelwright/sdk/nn";
import { Block, Norm, NormForward, NormMLP, Stack, WIDTH } from "./fixtures.ts";
import { fill, leavesUnchanged, outputOf } from "./unchanged.ts";

const fused: KernelConfig = {
  kernels: [
    replace("RMSNorm", Norm),
    fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP),
  ],
};
const forwards: KernelConfig = { kernels: [replace("RMSNorm", NormForward)] };
const INPUT = [2, 3, WIDTH];

/** Largest difference, in float64: the order of sums is the same, so hardly any. */
function assertSame(actual: readonly number[], expected: readonly number[]): void {
  const off = Math.max(...actual.map((v, i) => Math.abs(v - expected[i])));
  assert(off < 1e-12, `off by ${off}`);
}

describe("kernelize", () => {
  it("computes the same with kernels", async () => {
    for (const config of [fused, forwards]) {
      const model = fill(new Stack());
      const plain = await outputOf(model, INPUT);
      await kernelize(model, config);
      assertSame(await outputOf(model, INPUT), plain);
    }
  });

  it("really runs the kernels, and their layouts hold the weights", async () => {
    const model = fill(new Stack());
    await kernelize(model, fused);
    assertEquals([...model.namedParameters()].map(([path]) => path), [
      "layers.0.norm.scale",
      "layers.0.norm.gate_up",
      "layers.0.norm.down",
      "layers.1.norm.scale",
      "layers.1.norm.gate_up",
      "layers.1.norm.down",
      "norm.scale",
    ]);
    for (const [path, p] of model.namedParameters()) assertEquals(p.device, "reference", path);
  });

  it("swaps before the weights are there, too", async () => {
    const model = new Stack();
    await kernelize(model, fused);
    for (const [path, p] of model.namedParameters()) assertEquals(p.device, "meta", path);
  });

  it("changes no class, no prototype and no other model", async () => {
    const classes = [Stack, Block, RMSNorm, LlamaMLP, Linear, Norm, NormMLP, Module];
    const before = classes.map((
      c,
    ) => [Object.getOwnPropertyDescriptors(c), Object.getOwnPropertyDescriptors(c.prototype)]);
    const globals = Object.getOwnPropertyNames(globalThis);
    const [mine, other] = [fill(new Stack()), fill(new Stack())];
    const plain = await outputOf(other, INPUT);
    await leavesUnchanged(other, async () => {
      await kernelize(mine, fused);
      await kernelize(mine, forwards);
      assertEquals(kernelReport(other), undefined);
      assertEquals(await outputOf(other, INPUT), plain);
      assertSame(await outputOf(mine, INPUT), plain);
    });
    classes.forEach((c, i) => {
      assertEquals(Object.getOwnPropertyDescriptors(c), before[i][0] as never);
      assertEquals(Object.getOwnPropertyDescriptors(c.prototype), before[i][1] as never);
    });
    assertEquals(Object.getOwnPropertyNames(globalThis), globals);
  });

  it("at one path leaves the others their class's forward", async () => {
    const model = fill(new Stack());
    await kernelize(model, { kernels: [replace("RMSNorm", NormForward, { at: "layers.0.norm" })] });
    const norms = [...model.namedModules()].filter(([, m]) => m instanceof RMSNorm).map(([, m]) => m);
    assertEquals(norms.map((m) => Object.hasOwn(m, "forward")), [true, false, false]);
  });

  it("keeps training mode and what the module had", async () => {
    const model = fill(new Stack()).train();
    await kernelize(model, fused);
    assertEquals(
      [...model.namedModules()].filter(([, m]) => m instanceof Layout).map(([, m]) => m.training),
      [
        true,
        true,
        true,
      ],
    );
  });

  it("called twice at once, ends as if called twice in a row", async () => {
    const model = fill(new Stack());
    await leavesUnchanged(model, async () => {
      await Promise.all([kernelize(model, fused), kernelize(model, forwards), kernelize(model, fused)]);
      assertEquals(kernelReport(model)!.swapped.map((s) => s.kernel), ["NormMLP", "NormMLP", "Norm"]);
      unkernelize(model);
    });
  });
});

describe("unkernelize", () => {
  it("restores the same objects and the same bytes", async () => {
    const model = fill(new Stack());
    await leavesUnchanged(model, async () => {
      await kernelize(model, fused);
      unkernelize(model);
    });
  });

  it("does so after any row of configs and modes, and of failures between", async () => {
    const model = fill(new Stack());
    await leavesUnchanged(model, async () => {
      await kernelize(model, fused);
      await kernelize(model, forwards, { mode: "training" });
      await assertRejects(() => kernelize(model, { kernels: [replace("Nothing", Norm)] }));
      await kernelize(model, fused, { mode: "inference|capture" });
      unkernelize(model);
      unkernelize(model);
    });
  });

  it("gives back the values that came in between", async () => {
    const model = new Stack();
    await kernelize(model, fused);
    fill(model);
    const swapped = await outputOf(model, INPUT);
    unkernelize(model);
    for (const [path, p] of model.namedParameters()) assertEquals(p.device, "reference", path);
    assertSame(await outputOf(model, INPUT), swapped);
  });

  it("keeps an own forward that a module had", async () => {
    const model = fill(new Stack());
    const own = (x: Tensor) => x;
    model.norm.forward = own;
    await kernelize(model, forwards);
    assertNotStrictEquals(model.norm.forward, own);
    unkernelize(model);
    assertStrictEquals(model.norm.forward, own);
  });
});

describe("a failing kernelize", () => {
  it("keeps the kernels that were there: the same layouts, forwards and values", async () => {
    const model = fill(new Stack());
    await kernelize(model, fused);
    const [norm, forward, report] = [model.norm, model.norm.forward, kernelReport(model)];
    const output = await outputOf(model, INPUT);
    await assertRejects(() => kernelize(model, { kernels: [replace("RMSNorm", NormMLP)] }));
    assertStrictEquals(model.norm, norm);
    assertNotStrictEquals(model.norm.forward, forward); // bound again
    assertStrictEquals(kernelReport(model), report);
    assertEquals(await outputOf(model, INPUT), output);
  });

  it("half-way, in the conversion of the third site, leaves objects and values as they were", async () => {
    const runs = { bound: 0, failAt: 3 };
    @layout({ site: replaces(RMSNorm), conversions: [convert("weight", "scale", [failing(runs)])] })
    class Fragile extends Layout {
      scale: Parameter;
      constructor(hidden_size: number, readonly eps = 1e-6) {
        super();
        this.scale = parameter([hidden_size]);
      }
    }
    @kernel({ site: replaces(RMSNorm), layout: Fragile })
    class FragileNorm {
      forward(this: Fragile, x: Tensor): Tensor {
        return rmsNorm(x, this.scale, this.eps);
      }
    }
    const model = fill(new Stack());
    const config = { kernels: [replace("RMSNorm", FragileNorm)] };
    await leavesUnchanged(model, async () => {
      await assertRejects(() => kernelize(model, config), Deno.errors.Interrupted);
      assertEquals([runs.bound, kernelReport(model)], [3, undefined]);
      runs.failAt = Infinity;
      await kernelize(model, config);
      assertEquals(kernelReport(model)!.swapped.length, 3);
      unkernelize(model);
    });
  });
});

describe("a failing conversion", () => {
  it("puts back what the site's other conversions have moved", async () => {
    const runs = { bound: 0, failAt: 1 };
    const site = fuses({ norm: RMSNorm }, { mlp: LlamaMLP });
    @layout({
      site,
      conversions: [
        rename("norm.weight", "scale"),
        convert("mlp.up_proj.weight", "up", [failing(runs)]),
        rename("mlp.gate_proj.weight", "gate"),
        rename("mlp.down_proj.weight", "down"),
      ],
    })
    class Half extends Layout {
      scale: Parameter;
      up: Parameter;
      gate: Parameter;
      down: Parameter;
      constructor(norm: RMSNorm, mlp: LlamaMLP) {
        super();
        this.scale = parameter([norm.hidden_size]);
        this.up = parameter([mlp.intermediate_size, mlp.hidden_size]);
        this.gate = parameter([mlp.intermediate_size, mlp.hidden_size]);
        this.down = parameter([mlp.hidden_size, mlp.intermediate_size]);
      }
    }
    @kernel({ site, layout: Half })
    class HalfKernel {
      forward(x: Tensor): Tensor {
        return x.reshape(x.shape);
      }
    }
    const model = fill(new Stack());
    const config = {
      kernels: [fuse([["RMSNorm", "layers.0.norm"], ["LlamaMLP", "layers.0.mlp"]], HalfKernel)],
    };
    await leavesUnchanged(model, async () => {
      await assertRejects(() => kernelize(model, config), Deno.errors.Interrupted);
    });
  });
});

describe("a tied weight", () => {
  /** The head's weight is the first projection's. */
  class Tied extends Module {
    first = new Linear(WIDTH, WIDTH, false);
    norm = new RMSNorm(WIDTH);
    head = new Linear(WIDTH, WIDTH, false);
    constructor() {
      super();
      this.head.weight = this.first.weight;
    }
    override forward(x: Tensor): Tensor {
      return this.head.call(this.norm.call(this.first.call(x)));
    }
  }
  @layout({ site: replaces(Linear), conversions: [convert("weight", "w", [])] })
  class HeadLayout extends Layout {
    w: Parameter;
    constructor(in_features: number, out_features: number, _bias = true) {
      super();
      this.w = parameter([out_features, in_features]);
    }
  }
  @kernel({ site: replaces(Linear), layout: HeadLayout })
  class Head {
    forward(this: HeadLayout, x: Tensor): Tensor {
      return linear(x, this.w);
    }
  }

  it("keeps its values where it also stands, and comes back", async () => {
    const model = fill(new Tied());
    const plain = await outputOf(model, INPUT);
    await leavesUnchanged(model, async () => {
      await kernelize(model, { kernels: [replace("Linear", Head, { at: "head" })] });
      assertEquals(model.first.weight.materialized, true);
      assertEquals(await outputOf(model, INPUT), plain);
      unkernelize(model);
    });
    assertEquals(await outputOf(model, INPUT), plain);
  });

  it("may be converted at both places", async () => {
    const model = fill(new Tied());
    const plain = await outputOf(model, INPUT);
    await leavesUnchanged(model, async () => {
      await kernelize(model, { kernels: [replace("Linear", Head)] });
      assertEquals(await outputOf(model, INPUT), plain);
      unkernelize(model);
    });
  });
});

/** An op that copies, and throws when it is run for the n-th site that it was bound to. */
function failing(runs: { bound: number; failAt: number }): ConversionOp {
  return {
    name: "fragile",
    parameters: {},
    bind: (inputs) => {
      const index = ++runs.bound;
      const size = inputs[0].shape.reduce((a, b) => a * b, 1);
      const at = { offset: 0, strides: [1] };
      const moves = [{ input: 0, output: 0, region: { shape: [size], source: at, target: at } }];
      const forth: BoundOp = {
        label: "fragile",
        inputs,
        outputs: inputs,
        // Looked at when it is run, not when it is bound.
        get moves() {
          if (index === runs.failAt) throw new Deno.errors.Interrupted("half-way");
          return moves;
        },
        reverse: () => ({ label: "back", inputs, outputs: inputs, moves, reverse: () => forth }),
      };
      return forth;
    },
  };
}
