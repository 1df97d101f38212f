/** Which entry wins, and which of its kernels. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { kernel, type KernelConfig, kernelize, replaces, type Tensor } from "@kernelwright/sdk";
import { rmsNorm } from "@kernelwright/sdk/ops";
import { Device, disable, fuse, type KernelChoice, type Mode, replace } from "@kernelwright/sdk/config";
import { planKernelize } from "@kernelwright/sdk/inspect";
import { RMSNorm } from "@kernelwright/sdk/nn";
import { candidatesOf } from "../../sdk/kernelize/config/choice.ts";
import { selectKernel, type Target } from "../../sdk/kernelize/match/select.ts";
import { SwiGLU } from "../../examples/swiglu/mod.ts";
import { decorate } from "../helpers/decorate.ts";
import { assertRefusedLater } from "../helpers/refused.ts";
import { Block, type NormForward, NormMLP, Stack } from "./fixtures.ts";
import { fill, leavesUnchanged } from "./unchanged.ts";

const site = replaces(RMSNorm);

/** A kernel that is called so. */
function named(name: string, options: Partial<Parameters<typeof kernel>[0]> = {}): typeof NormForward {
  const cls = class {
    forward(this: RMSNorm, x: Tensor): Tensor {
      return rmsNorm(x, this.weight, this.eps);
    }
  };
  Object.defineProperty(cls, "name", { value: name });
  return decorate(kernel({ site, ...options } as never), cls);
}
const [A, B, C, D] = ["A", "B", "C", "D"].map((name) => named(name));

/** What runs where, as `path: kernel`. */
async function swapped(kernels: KernelConfig["kernels"], mode: Mode = "inference"): Promise<string[]> {
  const { report } = await planKernelize(new Stack(), { kernels }, { mode });
  return report.sites.map((s) => `${s.paths.join("+")}: ${s.kernel ?? "–"}`);
}

/** Which of a choice's kernels serves, and why the others don't. */
function select(choice: KernelChoice, target: Partial<Target> = {}): string[] {
  const { considered } = selectKernel(
    candidatesOf(choice),
    [new RMSNorm(8)],
    { mode: "inference", ...target },
    (c) => c.kernel as typeof A,
    () => {},
  );
  return considered.map((c) => `${c.taken ? "+" : "-"}${c.kernel}: ${c.why}`);
}

const device = (vendor: string, features: string[] = [], limits: Record<string, number> = {}) => ({
  device: {
    info: { vendor, architecture: "ampere", device: "", description: "" },
    features: new Set(features),
    limits,
  },
});

describe("of entries for one module", () => {
  const all = ["layers.0.norm", "layers.1.norm", "norm"];

  it("a name means every layer of that name", async () => {
    assertEquals(await swapped([replace("RMSNorm", A)]), all.map((p) => `${p}: A`));
  });

  it("the later one wins", async () => {
    assertEquals(await swapped([replace("RMSNorm", A), replace("RMSNorm", B)]), all.map((p) => `${p}: B`));
  });

  it("a path takes precedence over a name, wherever it stands", async () => {
    const byPath = replace("RMSNorm", B, { at: "layers.*.norm" });
    const expected = ["layers.0.norm: B", "layers.1.norm: B", "norm: A"];
    assertEquals(await swapped([byPath, replace("RMSNorm", A)]), expected);
    assertEquals(await swapped([replace("RMSNorm", A), byPath]), expected);
  });

  it("several paths and a regular expression may be given", async () => {
    assertEquals(await swapped([replace("RMSNorm", A, { at: ["norm", "layers.1.norm"] })]), [
      "layers.1.norm: A",
      "norm: A",
    ]);
    assertEquals(await swapped([replace("RMSNorm", A, { at: { regex: "^layers\\.[1-9]" } })]), [
      "layers.1.norm: A",
    ]);
  });

  it("disable keeps the originals: by name, or at a path", async () => {
    assertEquals(await swapped([replace("RMSNorm", A), disable("RMSNorm")]), all.map((p) => `${p}: –`));
    assertEquals(await swapped([replace("RMSNorm", A), disable("RMSNorm", { at: "norm" })]), [
      "layers.0.norm: A",
      "layers.1.norm: A",
      "norm: –",
    ]);
  });

  it("a fusion takes the place of a replacement; what is below it too", async () => {
    const fused = fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP);
    const kernels = [replace("RMSNorm", A), replace("SiluAndMul", SwiGLU), fused];
    assertEquals(await swapped(kernels), [
      "layers.0.norm+layers.0.mlp: NormMLP",
      "layers.1.norm+layers.1.mlp: NormMLP",
      "norm: A",
    ]);
  });

  it("what gives way is said", async () => {
    const kernels = [
      replace("RMSNorm", A),
      replace("RMSNorm", B, { at: "norm" }),
      fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP),
      replace("SiluAndMul", SwiGLU),
      disable("RMSNorm", { at: "norm" }),
    ];
    const { report } = await planKernelize(new Stack(undefined, 1), { kernels });
    assertEquals(report.notes, [
      'kernels[0] (replace RMSNorm) gives way to kernels[1] (replace RMSNorm) at "norm"',
      'kernels[0] (replace RMSNorm) gives way to kernels[2] (fuse RMSNorm, LlamaMLP) at "layers.0.norm"',
      'kernels[1] (replace RMSNorm) gives way to kernels[4] (disable RMSNorm) at "norm"',
      'kernels[3] (replace SiluAndMul) gives way to kernels[2] (fuse RMSNorm, LlamaMLP) at "layers.0.mlp.act_fn"',
    ]);
  });
});

describe("where many give way", () => {
  it("one note says it for all of them", async () => {
    const kernels = [replace("RMSNorm", A), replace("RMSNorm", B)];
    const { report } = await planKernelize(new Stack(undefined, 9), { kernels });
    assertEquals(report.notes, [
      'kernels[0] (replace RMSNorm) gives way to kernels[1] (replace RMSNorm) at "layers.0.norm" and 9 more',
    ]);
  });
});

describe("of an entry's kernels", () => {
  const modes = {
    webgpu: { "inference": A, "capture|inference": B, "training": C, "training | capture": D },
  };
  const served = (mode: Mode, table: Record<string, typeof A>) => {
    const taken = select({ webgpu: table }, { mode }).find((s) => s.startsWith("+"));
    return taken?.slice(1, 2);
  };

  it("the mode's own serves first, then the order of Hugging Face kernels", () => {
    const rows: [Mode, string][] = [
      ["inference", "ABCDF"],
      ["training", "CDF"],
      ["inference|capture", "BDF"],
      ["training|capture", "DF"],
    ];
    const F = named("F");
    for (const [mode, order] of rows) {
      const table: Record<string, typeof A> = { ...modes.webgpu, fallback: F };
      const keyOf = {
        A: "inference",
        B: "capture|inference",
        C: "training",
        D: "training | capture",
        F: "fallback",
      };
      for (const name of order) {
        assertEquals(served(mode, table), name, `${mode} of ${Object.keys(table)}`);
        delete table[keyOf[name as "A"]];
      }
      assertEquals(served(mode, table), undefined, mode);
    }
  });

  it("each that was not taken says why", () => {
    assertEquals(select(modes, { mode: "inference" }), [
      "+A: it is for inference",
      "-B: A is for inference, which takes precedence over inference|capture",
      "-C: A is for inference, which takes precedence over training",
      "-D: A is for inference, which takes precedence over training|capture",
    ]);
    assertEquals(select(modes, { mode: "training|capture" }), [
      "+D: it is for training|capture",
      "-C: it is for training, and the mode is training|capture",
      "-B: it is for inference|capture, and the mode is training|capture",
      "-A: it is for inference, and the mode is training|capture",
    ]);
  });

  it("the narrowest device wins over the mode and the order", () => {
    const choice = [
      { device: Device({ vendor: "nvidia", features: ["subgroups"] }), kernel: A, mode: "training" },
      { device: Device({ vendor: "NVIDIA" }), kernel: B, mode: "inference" },
      { device: Device({ vendor: "amd", features: ["subgroups", "shader-f16"] }), kernel: C },
      { kernel: D },
    ];
    assertEquals(select(choice, device("nvidia", ["subgroups"])), [
      '-C: it is for the vendor "amd", and this is "nvidia"; the adapter lacks "shader-f16"',
      "+A: it is meant for this device, it is for training, which serves inference",
      "-B: A is meant more narrowly for this device",
      "-D: A is meant more narrowly for this device",
    ]);
    assertEquals(
      select(choice, device("intel")).find((s) => s.startsWith("+")),
      "+D: it is the kernel of the entry",
    );
  });

  it("of equally many conditions, the higher limits win where they are met", () => {
    const at = (least: number, k: typeof A) => ({
      device: Device({ limits: { maxBufferSize: least } }),
      kernel: k,
    });
    const choice = [at(1000, A), at(4000, B), at(2000, C)];
    const taken = (has: number) =>
      select(choice, device("x", [], { maxBufferSize: has })).find((s) => s.startsWith("+"))?.slice(1, 2);
    assertEquals([taken(5000), taken(3000), taken(1500), taken(500)], ["B", "C", "A", undefined]);
  });

  it("of two that fit equally well, the later one wins, and the tie is said", () => {
    assertEquals(select([{ kernel: A }, { kernel: B }]), [
      "+B: it is the kernel of the entry",
      "-A: B fits equally well and is given later",
    ]);
  });

  it("one that is for a device waits for one to be opened", () => {
    assertEquals(select([{ device: Device({ vendor: "nvidia" }), kernel: A }]), [
      "-A: no device is open to compare with",
    ]);
  });

  it("one whose requirements are not met is passed over", () => {
    const requires = {
      features: ["subgroups"],
      limits: { maxBindGroups: 8, maxNothing: 1 },
      dtypes: ["f16"],
    };
    const Needs = named("Needs", { requires } as never);
    assertEquals(select([{ kernel: A }, { kernel: Needs }], device("x", [], { maxBindGroups: 4 })), [
      '-Needs: the adapter lacks "subgroups"; maxBindGroups is 4, and 8 is needed; ' +
      'the adapter has no limit "maxNothing"; parameters are f32, and the kernel takes f16',
      "+A: it is the kernel of the entry",
    ]);
  });
});

describe("where no kernel fits", () => {
  const fused = (options = {}) =>
    fuse([["RMSNorm", "layers.*.norm"], ["LlamaMLP", "layers.*.mlp"]], NormMLP, options);

  it("the original stays, and the report says why: SwiGLU on a GELU model", async () => {
    const model = fill(new Stack((i) => new Block(i === 1 ? "gelu" : "silu")));
    await leavesUnchanged(model, async () => {
      const { report } = await planKernelize(model, { kernels: [fused()] });
      assertEquals(report.sites.map((s) => [s.path, s.kernel, s.reason]), [
        ["layers.0.norm", "NormMLP", "it is the kernel of the entry"],
        ["layers.1.norm", undefined, "NormMLP: the activation is gelu"],
      ]);
      assertStringIncludes(String(report), "not swapped: NormMLP: the activation is gelu");
    });
  });

  it("fallback: false makes it an error", async () => {
    const model = fill(new Stack((i) => new Block(i === 1 ? "gelu" : "silu")));
    await leavesUnchanged(
      model,
      () =>
        assertRefusedLater(
          () => kernelize(model, { kernels: [fused({ fallback: false })] }),
          `
        KW-SELECT-NONE  at "layers.1.norm"
          No kernel fits "layers.1.norm", and the entry says fallback: false
          NormMLP: the activation is gelu
          Add a kernel that fits, or allow the original with fallback: true.`,
        ),
    );
  });

  it("a kernel that refuses without a reason is still named", async () => {
    const Refuses = named("Refuses", { accepts: () => false } as never);
    const { report } = await planKernelize(new Stack(), {
      kernels: [replace("RMSNorm", Refuses, { at: "norm" })],
    });
    assertEquals(report.sites[0].reason, "Refuses: Refuses does not accept this instance");
  });

  it("everything kept is no error, and says so", async () => {
    const { report } = await planKernelize(new Stack(), { kernels: [disable("RMSNorm")] });
    assertEquals([report.swapped.length, report.sites.length], [0, 3]);
  });
});
