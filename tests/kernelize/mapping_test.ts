import { assertEquals, assertStrictEquals } from "@std/assert";
import { afterEach, describe, it } from "@std/testing/bdd";
import { kernelize, kernelReport, unkernelize } from "@kernelwright/sdk";
import {
  fuse,
  kernelMapping,
  registerKernelMapping,
  replace,
  useKernelMapping,
} from "@kernelwright/sdk/config";
import { explain } from "@kernelwright/sdk/inspect";
import { SwiGLU } from "../../examples/swiglu/mod.ts";
import { assertRefused, assertRefusedLater } from "../helpers/refused.ts";
import { Norm, NormForward, NormMLP, Stack } from "./fixtures.ts";
import { fill, leavesUnchanged } from "./unchanged.ts";

const wait = (ms: number) => new Promise<void>((done) => setTimeout(done, ms));
const kernelsOf = (model: Stack) => [...new Set(kernelReport(model)?.swapped.map((s) => s.kernel))];

describe("useKernelMapping()", () => {
  it("gives kernelize its kernels, also after an await", async () => {
    const model = new Stack();
    await useKernelMapping({ RMSNorm: Norm }, {}, async () => {
      await wait(1);
      await kernelize(model);
    });
    assertEquals(kernelsOf(model), ["Norm"]);
    assertEquals(kernelMapping(), {});
  });

  it("keeps two that run at once apart", async () => {
    const models = [new Stack(), new Stack()];
    await Promise.all(
      [Norm, NormForward].map((kernel, i) =>
        useKernelMapping({ RMSNorm: kernel }, {}, async () => {
          await wait(3 - i);
          await kernelize(models[i]);
          await wait(i);
          assertStrictEquals(kernelMapping().RMSNorm, kernel);
        })
      ),
    );
    assertEquals(models.map(kernelsOf), [["Norm"], ["NormForward"]]);
  });

  it("inherits what is around it by default", () => {
    useKernelMapping({ RMSNorm: Norm, SiluAndMul: SwiGLU }, {}, () => {
      useKernelMapping({ RMSNorm: NormForward }, {}, () => {
        assertEquals(kernelMapping(), { RMSNorm: NormForward, SiluAndMul: SwiGLU });
      });
      useKernelMapping({ RMSNorm: NormForward }, { inherit: false }, () => {
        assertEquals(kernelMapping(), { RMSNorm: NormForward });
      });
      assertStrictEquals(kernelMapping().RMSNorm, Norm);
    });
  });

  it("returns what the function returns, and ends when it throws", () => {
    assertEquals(useKernelMapping({ RMSNorm: Norm }, {}, () => 3), 3);
    try {
      useKernelMapping({ RMSNorm: Norm }, {}, () => {
        throw new Deno.errors.Interrupted();
      });
    } catch { /* that was thrown */ }
    assertEquals(kernelMapping(), {});
  });

  it("keeps the originals of a name that is mapped to null", async () => {
    const model = new Stack();
    await useKernelMapping({ RMSNorm: null, SiluAndMul: SwiGLU }, {}, () => kernelize(model));
    assertEquals(kernelsOf(model), ["SwiGLU"]);
    assertEquals(kernelReport(model)!.at("norm")!.reason, "kernels[0] (disable RMSNorm)");
  });

  it("says which names the model does not have", async () => {
    const report = await useKernelMapping(
      { RMSNorm: Norm, LayerNorm: Norm },
      {},
      () => kernelize(new Stack()),
    );
    assertEquals(report.notes, [`the kernel mapping's "LayerNorm" is not a layer of this model`]);
  });

  it("refuses a model that has none of its names", async () => {
    const model = fill(new Stack());
    await leavesUnchanged(
      model,
      () =>
        assertRefusedLater(
          () => useKernelMapping({ RMSNrom: Norm }, {}, () => kernelize(model)),
          `
        KW-MATCH-NAME
          The kernel mapping has kernels for RMSNrom, and the model has no such layer
          Did you mean "RMSNorm"?`,
        ),
    );
  });

  it("refuses what is no kernel, at once", () => {
    assertRefused(
      () => useKernelMapping({ RMSNorm: "nowhere" }, {}, () => {}),
      `
      KW-CONFIG-KERNELS
        Cannot use the kernel mapping: RMSNorm: expected a class decorated with @kernel, or a reference such as ./folder:ClassName
        A mapping is { LayerName: kernel }; null keeps the originals.`,
    );
  });

  it("leaves alone a kernelize that has a config", async () => {
    const model = new Stack();
    await useKernelMapping(
      { SiluAndMul: SwiGLU },
      {},
      () => kernelize(model, { kernels: [replace("RMSNorm", Norm)] }),
    );
    assertEquals(kernelsOf(model), ["Norm"]);
  });

  it("changes kernels that are there already", async () => {
    const model = new Stack();
    await kernelize(model, { kernels: [replace("RMSNorm", Norm)] });
    await useKernelMapping({ RMSNorm: NormForward }, {}, () => kernelize(model));
    assertEquals(kernelsOf(model), ["NormForward"]);
  });
});

describe("registerKernelMapping()", () => {
  it("holds everywhere until it is taken out; a scope takes precedence over it", async () => {
    const undo = registerKernelMapping({ RMSNorm: Norm, SiluAndMul: SwiGLU });
    try {
      const model = new Stack();
      await kernelize(model);
      assertEquals(kernelsOf(model), ["Norm", "SwiGLU"]);
      useKernelMapping({ RMSNorm: NormForward }, {}, () => {
        assertEquals(kernelMapping(), { RMSNorm: NormForward, SiluAndMul: SwiGLU });
      });
    } finally {
      undo();
    }
    assertEquals(kernelMapping(), {});
  });

  it("adds to those before it, or takes their place; taken out in any order", () => {
    const undoFirst = registerKernelMapping({ RMSNorm: Norm });
    const undoSecond = registerKernelMapping({ SiluAndMul: SwiGLU });
    assertEquals(Object.keys(kernelMapping()), ["RMSNorm", "SiluAndMul"]);
    const undoThird = registerKernelMapping({ LlamaMLP: Norm }, { inherit: false });
    assertEquals(Object.keys(kernelMapping()), ["LlamaMLP"]);
    undoFirst();
    undoThird();
    assertEquals(Object.keys(kernelMapping()), ["SiluAndMul"]);
    undoSecond();
    assertEquals(kernelMapping(), {});
  });
});

describe("kernelize() without a config", () => {
  it("refuses where no mapping is in scope", async () => {
    const model = fill(new Stack());
    await leavesUnchanged(model, () =>
      assertRefusedLater(
        () => kernelize(model),
        `
      KW-MAPPING-NONE
        kernelize was given no config, and no kernel mapping is in scope
        Pass a config, or call it inside useKernelMapping(…), or after registerKernelMapping(…).`,
      ));
  });
});

describe("KERNELWRIGHT_KERNELS=0", () => {
  afterEach(() => Deno.env.delete("KERNELWRIGHT_KERNELS"));
  const kernels = [
    replace("RMSNorm", Norm),
    fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP),
  ];

  it("has kernelize swap nothing, and the report say so", async () => {
    Deno.env.set("KERNELWRIGHT_KERNELS", "0");
    const model = fill(new Stack());
    await leavesUnchanged(model, async () => {
      const report = await kernelize(model, { kernels });
      assertEquals(report.swapped, []);
      assertEquals(report.notes[0], "no kernel was put in: KERNELWRIGHT_KERNELS=0");
      assertEquals(report.sites.map((s) => [s.path, s.reason]), [
        ["layers.0.norm", "KERNELWRIGHT_KERNELS=0"],
        ["layers.1.norm", "KERNELWRIGHT_KERNELS=0"],
        ["norm", "KERNELWRIGHT_KERNELS=0"],
      ]);
    });
  });

  it("takes out the kernels of a model that has them", async () => {
    const model = fill(new Stack());
    await leavesUnchanged(model, async () => {
      await kernelize(model, { kernels });
      Deno.env.set("KERNELWRIGHT_KERNELS", "0");
      await kernelize(model, { kernels });
    });
  });

  it("needs no kernel that a reference names", async () => {
    Deno.env.set("KERNELWRIGHT_KERNELS", "0");
    const report = await kernelize(new Stack(), { kernels: [replace("RMSNorm", "./nowhere:Norm")] });
    assertEquals(report.swapped, []);
  });

  it("is off for any other value", async () => {
    for (const value of ["1", ""]) {
      Deno.env.set("KERNELWRIGHT_KERNELS", value);
      assertEquals((await kernelize(new Stack(), { kernels })).swapped.length, 3);
    }
  });
});

describe("explain()", () => {
  it("says for each kind of module why it runs what it runs", async () => {
    const model = new Stack();
    const why = (path: string) => String(explain(model, path));
    assertEquals(
      why("norm"),
      `"norm" runs the original: the model has no kernels: kernelize was not called, or was undone`,
    );
    await kernelize(model, {
      kernels: [
        replace("RMSNorm", [{ kernel: NormForward }, { kernel: Norm, mode: "training" }]),
        fuse([["RMSNorm", "layers.0.norm"], ["LlamaMLP", "layers.0.mlp"]], NormMLP),
      ],
    });
    assertEquals(
      why("layers.0.mlp"),
      `"layers.0.mlp" runs NormMLP: it is the kernel of the entry, fused with "layers.0.norm"
  taken  NormMLP: it is the kernel of the entry`,
    );
    assertEquals(
      why("layers.0.norm"),
      `"layers.0.norm" runs NormMLP: it is the kernel of the entry, fused with "layers.0.mlp"
  taken  NormMLP: it is the kernel of the entry
  note   kernels[0] (replace RMSNorm) gives way to kernels[1] (fuse RMSNorm, LlamaMLP)`,
    );
    assertEquals(
      why("norm"),
      `"norm" runs Norm: it is for training, which serves inference
  taken  Norm: it is for training, which serves inference
  not    NormForward: Norm is for training, which takes precedence over fallback`,
    );
    assertEquals(
      why("layers.0.mlp.up_proj"),
      `"layers.0.mlp.up_proj" runs NormMLP: it lies inside the site "layers.0.norm" + "layers.0.mlp"`,
    );
    assertEquals(why("layers.1.mlp"), `"layers.1.mlp" runs the original: no entry means LlamaMLP here`);
    assertEquals(
      why("layers"),
      `"layers" runs the original: ModuleList is not marked as a layer, so no entry can name it`,
    );
    unkernelize(model);
    assertEquals(explain(model, "norm").considered, []);
  });

  it("is data", async () => {
    const model = new Stack();
    await kernelize(model, { kernels: [replace("RMSNorm", Norm, { at: "norm" })] });
    assertEquals(JSON.parse(JSON.stringify(explain(model, "norm"))), {
      path: "norm",
      kernel: "Norm",
      reason: "it is the kernel of the entry",
      considered: [{ kernel: "Norm", version: "1.0.0", taken: true, why: "it is the kernel of the entry" }],
      shadowed: [],
    });
  });

  it("refuses a path that the model does not have", async () => {
    const model = new Stack();
    await kernelize(model, { kernels: [replace("RMSNorm", Norm)] });
    assertRefused(
      () => explain(model, "layers.0.nrm"),
      `
      KW-EXPLAIN-PATH
        Cannot explain "layers.0.nrm": the model has no such module
        Did you mean "layers.0.norm"?`,
    );
  });
});
